"""Arms are data; what they have in common is done once, and what their settings shape is named by them."""

import threading
from dataclasses import replace

import pytest

from jobs import refine_image_labels, reproduce
from pipeline.archive.quarantine import Rejection, write_rejection
from pipeline.branch_folder import open_run_folder
from pipeline.command_line import load_config
from pipeline.config import PipelineConfig, ReproduceConfig
from pipeline.errors import RefusedInputError
from pipeline.reproduce.arms import Arm, choose_arms, configure_arm, read_arms
from pipeline.reproduce.benchmark import Benchmark, default_config
from pipeline.reproduce.comparison import explain_exit, report_failures
from pipeline.reproduce.plan import Node, describe_settings, plan_arm
from pipeline.reproduce.schedule import run_nodes
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows
from pipeline.steps import EXIT_QUARANTINED, plain_settings
from pipeline.sweep.config_file import replace_settings
from tests.couinaudnet_cases import write_case

ARMS = read_arms()
CONFIG = replace(load_config("reproduce"), run="r")


def plan(arm, seed=0, config=CONFIG):
    return plan_arm(config, ARMS, ARMS[arm], seed)


@pytest.mark.parametrize("name", [name for name, arm in ARMS.items() if not arm.same_as])
@pytest.mark.parametrize("budget", ["reproduce", "reproduce_smoke"])
def test_shipped_arms_fit_the_settings(name, budget):
    config = replace(load_config(budget), run="r")
    assert configure_arm(config, ARMS[name], 3).seed == 3
    assert plan(name, config=config)[-1].arm is ARMS[name]


def test_arm_like_another_changes_some_of_its_settings():
    beyond, alone = (configure_arm(CONFIG, ARMS[name], 0) for name in ("beyond", "beyond_alone"))
    assert alone == replace(beyond, segmenter=replace(beyond.segmenter, couinaudnet_share=0.0))


def test_left_out_volume_makes_another_cohort_and_another_network():
    whole, without = plan("beyond"), plan("beyond_without_05")
    assert without[0].left_out == "ircadb_05"
    assert not {node.name for node in whole} & {node.name for node in without}
    assert describe_settings(CONFIG, ARMS, ARMS["beyond_without_05"]) == {
        **describe_settings(CONFIG, ARMS, ARMS["beyond"]),
        "left_out": "ircadb_05",
    }


def test_standard_is_the_recipe_that_goes_beyond_the_paper():
    best, shipped = configure_arm(CONFIG, ARMS["beyond"], 0), load_config("standard")
    for section in ("grid", "image_labels", "synthesis", "couinaudnet", "pixel_labels", "segmenter"):
        assert plain_settings(getattr(best, section)) == plain_settings(getattr(shipped, section))


def test_shipped_arms_refer_to_trained_arms():
    for arm in ARMS.values():
        for other in filter(None, (arm.teacher, arm.same_as)):
            assert not ARMS[other].same_as


def test_alias_is_not_trained_twice():
    assert [arm.name for arm in choose_arms(ARMS, ["volume_level", "plr", "none"])] == ["none", "plr"]
    main = "none ilr plr ilr_plr supervised image_level synthetic supervised_synthetic beyond"
    assert [arm.name for arm in choose_arms(ARMS, [])] == main.split()


def test_unknown_arm_is_refused():
    with pytest.raises(RefusedInputError, match="unknown arm 'nnone', known are none, ilr"):
        choose_arms(ARMS, ["nnone"])


def test_arm_with_an_unknown_setting_is_refused():
    arm = Arm(name="odd", title="odd", group="odd", settings={"segmenter": {"epoch": 1}})
    with pytest.raises(RefusedInputError, match=r"arm odd: unknown setting segmenter\.epoch, known are"):
        configure_arm(CONFIG, arm, 0)


def test_arms_that_differ_after_the_network_share_it():
    cohort, network, segmenter, arm = plan("none")
    assert plan("plr")[:2] == [cohort, network]
    assert (network.parent, segmenter.parent, arm.parent) == (cohort.name, network.name, segmenter.name)
    assert not {segmenter.name, arm.name} & {node.name for node in plan("plr")}
    assert len({plan(name)[1].name for name in ("none", "ilr", "image_level", "beyond")}) == 4
    assert plan("none", seed=1)[0] == cohort
    assert plan("none", seed=1)[1].name != network.name


def test_arms_that_differ_in_prediction_share_their_segmenter():
    assert plan("beyond")[:-1] == plan("beyond_alone")[:-1]
    assert plan("beyond")[-1].name != plan("beyond_alone")[-1].name
    assert plan("beyond")[-1].config.segmenter.couinaudnet_share == 0.5
    assert plan("beyond")[-2].config.segmenter.couinaudnet_share == 0.0
    assert plan("beyond")[-2].name != plan("beyond", seed=1)[-2].name


def test_supervised_arm_needs_no_network():
    cohort, segmenter, arm = plan("supervised")
    assert cohort == plan("none")[0]
    assert segmenter.steps == ("train_segmenter",)
    assert arm.steps == ("predict_segmentation", "write_result")


def test_student_branches_off_its_teacher():
    *above, student, arm = plan("synthetic_named")
    assert above == plan("synthetic")[:-1]
    assert (student.parent, arm.parent) == (above[-1].name, student.name)
    assert student.teacher.segmenter.labels == "none"
    assert arm.config.segmenter.labels == "pseudo"


def test_student_on_another_grid_than_its_teacher_is_refused():
    arm = Arm(name="odd", title="", group="", settings={"grid": {"height": 64}}, teacher="synthetic")
    with pytest.raises(RefusedInputError, match=r"arm odd: settings\.grid differs from that of its teacher synthetic"):
        plan_arm(CONFIG, ARMS, arm, 0)


def test_another_couinaud_map_is_another_cohort():
    arm = Arm(name="shape", title="", group="", settings={"couinaud": {"method": "shape"}})
    assert plan_arm(CONFIG, ARMS, arm, 0)[0].name != plan("none")[0].name


@pytest.mark.parametrize(
    ("setting", "changed"),
    [
        ({"segmenter.epochs": 7}, {"ilr", "supervised", "synthetic", "synthetic_named"}),
        ({"couinaudnet.epochs": 7}, {"ilr"}),
        ({"pixel_labels.scale": 7.0}, {"ilr", "synthetic_named"}),
        ({"synthesis.maximum_tumors": 7}, {"ilr", "synthetic", "synthetic_named"}),
        ({"couinaudnet.num_workers": 7, "ray.cpus": 3, "seed": 4}, set()),
    ],
)
def test_setting_changes_the_arms_that_it_shapes(setting, changed):
    other, names = replace_settings(CONFIG, setting), ("ilr", "supervised", "synthetic", "synthetic_named")
    differs = {
        name
        for name in names
        if describe_settings(other, ARMS, ARMS[name]) != describe_settings(CONFIG, ARMS, ARMS[name])
    }
    assert differs == changed
    assert {name for name in names if plan(name, config=other)[-1].name != plan(name)[-1].name} == changed


def node(name, parent=""):
    return Node(name, PipelineConfig(run=name), (), parent, arm=Arm(name=name, title=name, group=""))


def test_children_wait_for_their_parent_and_failures_stop_only_what_is_below():
    order, nodes = [], [node("n"), node("bad"), node("x", "n"), node("y", "bad"), node("z", "done before")]

    def work(item):
        order.append(item.name)
        if item.name == "bad":
            raise RefusedInputError("no")

    done, failed = run_nodes(nodes, work, 1)
    assert order == ["n", "bad", "x", "z"]
    assert done == {"n", "x", "z"}
    assert report_failures(nodes, done, failed).splitlines() == [
        "bad failed: no",
        "error: without a result: bad, seed 0; y, seed 0. The same command takes up where they were.",
    ]


def test_nodes_run_side_by_side_as_many_as_asked_for():
    meeting = threading.Barrier(2, timeout=20)
    done, failed = run_nodes([node(name) for name in "abcd"], lambda item: meeting.wait() and None, 2)
    assert done == set("abcd")
    assert not failed


def test_benchmark_without_data_is_refused(monkeypatch, tmp_path):
    monkeypatch.delenv("LIVER_DATA", raising=False)
    config = PipelineConfig(run="r", reproduce=ReproduceConfig(page=""))
    with pytest.raises(RefusedInputError, match="needs a folder with ircadb and lits"):
        Benchmark.of(config)
    (tmp_path / "ircadb").mkdir()
    with pytest.raises(RefusedInputError, match="has no lits"):
        Benchmark.of(replace_settings(config, {"reproduce.data": str(tmp_path)}))
    (tmp_path / "lits").mkdir()
    found = Benchmark.of(replace_settings(config, {"reproduce.data": str(tmp_path)}))
    assert [source.path for source in found.sources] == [str(tmp_path / "ircadb"), str(tmp_path / "lits")]


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        ("--run r", "reproduce"),
        ("--budget smoke --run r", "reproduce_smoke"),
        ("--reproduce.budget=smoke", "reproduce_smoke"),
        ("--budget standard", "reproduce"),
    ],
)
def test_budget_chooses_the_shipped_settings(arguments, config):
    assert default_config(arguments.split()) == ["--config", config]


def test_own_settings_replace_the_shipped_ones():
    assert default_config(["--budget", "smoke", "--config", "mine.toml"]) == []


def test_what_ilr_sets_aside_is_missing_from_the_folders_below_and_from_no_other(tmp_path, monkeypatch, capsys):
    """The next steps of the network's folder run; its segmenter does not see the volume, another network's does."""
    nodes, others = (plan_arm(replace(CONFIG, run=str(tmp_path)), ARMS, ARMS["ilr_plr"], seed) for seed in (0, 1))
    cohort, network, segmenter, _ = nodes
    for name in "ab":
        write_case(RunFolder(cohort.config.run), name)

    def set_aside(config):
        run = open_run_folder(config.run)
        write_rejection(run, Rejection("a", "LABEL_NOT_IN_MAP", "because", "refine_image_labels"))
        return EXIT_QUARANTINED

    monkeypatch.setattr(refine_image_labels, "main", set_aside)
    reproduce.take_steps(None, {}, replace(network, steps=("refine_image_labels",)))
    assert "without a: LABEL_NOT_IN_MAP" in capsys.readouterr().out
    with segmenter.hold() as run:
        assert [row.volume_id for row in read_volume_rows(run)] == ["b"]
    for node in others[1:3]:
        with node.hold() as run:
            assert [row.volume_id for row in read_volume_rows(run)] == ["a", "b"]


def test_a_step_that_sets_volumes_aside_for_another_reason_ends_the_arm(tmp_path):
    with pytest.raises(RuntimeError, match="predict_tumors ended with exit code 3"):
        explain_exit(RunFolder(str(tmp_path)), "predict_tumors", EXIT_QUARANTINED)
