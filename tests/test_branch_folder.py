"""A branch reads what it shares from its parent, over any number of generations, and never writes there."""

import pickle

import pytest

from pipeline.branch_folder import BranchFolder, make_branch, open_run_folder
from pipeline.config import PipelineConfig
from pipeline.run_folder import RunFolder
from pipeline.steps import Step


def test_branch_reads_shared_tables_of_its_parent_and_writes_its_own(tmp_path):
    parent = RunFolder(str(tmp_path))
    parent.write_bytes(b"row", "slices", "v", "00000.parquet")
    parent.write_bytes(b"network", "couinaudnet", "couinaudnet.json")
    branch = BranchFolder(str(tmp_path / "branch"), str(tmp_path))
    assert branch.read_bytes("slices", "v", "00000.parquet") == b"row"
    assert branch.names("couinaudnet") == []
    branch.write_bytes(b"own", "couinaudnet", "couinaudnet.json")
    assert parent.read_bytes("couinaudnet", "couinaudnet.json") == b"network"
    assert (tmp_path / "branch" / "couinaudnet" / "couinaudnet.json").read_bytes() == b"own"


def test_branch_travels_as_its_two_folders(tmp_path):
    branch = pickle.loads(pickle.dumps(BranchFolder(str(tmp_path / "branch"), str(tmp_path))))
    assert branch.path("volumes") == str(tmp_path / "volumes")
    assert branch.path("reports") == str(tmp_path / "branch" / "reports")


@pytest.mark.parametrize("table", ["slices", "volumes", "references", "quarantine"])
def test_branch_never_touches_its_parent(tmp_path, table):
    branch = BranchFolder(str(tmp_path / "branch"), str(tmp_path))
    with pytest.raises(ValueError, match=f"{table}/v belongs to .* is a branch"):
        branch.write_bytes(b"", table, "v")
    with pytest.raises(ValueError, match=f"{table}/v belongs to .* is a branch"):
        branch.remove(table, "v")


def test_folder_of_a_table_can_be_named_in_one_part(tmp_path):
    branch = BranchFolder(str(tmp_path / "branch"), str(tmp_path))
    assert branch.path("references/grid", "v") == str(tmp_path / "references" / "grid" / "v")


def make_generations(tmp_path):
    """A cohort, a branch of it, and a branch of the branch, in a folder each."""
    RunFolder(str(tmp_path / "cohort")).write_json({"quarantined": {}}, "reports", "ingest.json")
    make_branch(str(tmp_path / "network"), "../cohort", ("slices", "reports/ingest.json"))
    return make_branch(str(tmp_path / "arm"), "../network", ("slices", "reports/ingest.json", "probabilities"))


def test_grandchild_reads_each_member_where_it_was_made(tmp_path):
    arm = make_generations(tmp_path)
    assert arm.path("slices", "v") == str(tmp_path / "cohort" / "slices" / "v")
    assert arm.path("probabilities") == str(tmp_path / "network" / "probabilities")
    assert arm.path("reports", "evaluate.json") == str(tmp_path / "arm" / "reports" / "evaluate.json")
    assert pickle.loads(pickle.dumps(arm)).path("slices") == str(tmp_path / "cohort" / "slices")


def test_branch_is_found_again_where_the_whole_folder_was_moved(tmp_path):
    make_generations(tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after")
    assert open_run_folder(str(tmp_path / "after" / "arm")).exists("reports", "ingest.json")


def test_branch_of_a_uri_with_options_is_beside_its_parent(tmp_path):
    make_generations(tmp_path)
    arm = open_run_folder(f"file://{tmp_path}/arm?endpoint=http://localhost:9000")
    assert arm.path("probabilities") == str(tmp_path / "network" / "probabilities")
    assert arm.path("slices") == str(tmp_path / "cohort" / "slices")


def test_step_of_a_branch_needs_what_its_parent_has_done_and_keeps_its_own_settings(tmp_path):
    arm = make_generations(tmp_path)
    with Step.begin(PipelineConfig(run=arm.uri, seed=7), "refine_image_labels", needs=("ingest",)) as step:
        step.commit(taken=1, given=1)
    assert (tmp_path / "arm" / "settings" / "seed.json").read_text().strip() == "7"
    assert not (tmp_path / "cohort" / "settings").exists()


def test_plain_folder_is_opened_as_it_is(tmp_path):
    assert type(open_run_folder(str(tmp_path))) is RunFolder
