"""The files that start a cluster: valid for the installed Ray, closed to strangers, and pinned."""

import re
from importlib.metadata import version
from pathlib import Path

import jsonschema
import pytest
import yaml

from pipeline import __version__
from pipeline.command_line import parse

ROOT = Path(__file__).parent.parent
FILES = ("cluster.yaml", "docs/cluster_local.yaml")
WHOLE = {"type": "integer", "minimum": 0}
POD = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["containers", "volumes"],
            "additionalProperties": False,
            "properties": {
                "containers": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name", "image", "resources", "volumeMounts"],
                        "additionalProperties": False,
                        "properties": {name: {} for name in ("name", "image", "resources", "volumeMounts", "env")},
                    },
                },
                "volumes": {"type": "array", "items": {"type": "object", "required": ["name"]}},
            },
        }
    },
}
GROUP = {"rayStartParams": {"type": "object", "additionalProperties": {"type": "string"}}, "template": POD}


def strict(properties, required=()):
    return {
        "type": "object",
        "properties": properties,
        "required": list(required or properties),
        "additionalProperties": False,
    }


RAY_JOB = strict(
    {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayJob"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": strict(
            {
                "entrypoint": {"type": "string"},
                "submissionMode": {"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode"]},
                "backoffLimit": WHOLE,
                "shutdownAfterJobFinishes": {"type": "boolean"},
                "ttlSecondsAfterFinished": WHOLE,
                "rayClusterSpec": strict(
                    {
                        "rayVersion": {"type": "string"},
                        "authOptions": strict({"mode": {"enum": ["disabled", "token"]}}),
                        "enableInTreeAutoscaling": {"type": "boolean"},
                        "autoscalerOptions": strict({"idleTimeoutSeconds": WHOLE}),
                        "headGroupSpec": strict({"serviceType": {"const": "ClusterIP"}, **GROUP}),
                        "workerGroupSpecs": {
                            "type": "array",
                            "items": strict(
                                {
                                    "groupName": {"type": "string"},
                                    "replicas": WHOLE,
                                    "minReplicas": WHOLE,
                                    "maxReplicas": WHOLE,
                                    **GROUP,
                                }
                            ),
                        },
                    }
                ),
            }
        ),
    }
)
"""What the manifest uses of KubeRay's API (RayJobSpec, RayClusterSpec, HeadGroupSpec, WorkerGroupSpec of ray.io/v1)."""


def load(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FILES)
def test_cluster_file_is_valid_for_the_installed_ray(name):
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(load(name)))


@pytest.mark.parametrize("name", FILES)
def test_every_node_asks_for_a_token_and_the_head_listens_to_itself_alone(name):
    cluster = load(name)
    starts = [line for part in ("head", "worker") for line in cluster[f"{part}_start_ray_commands"]]
    starts = [line for line in starts if "ray start" in line]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in line for line in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]
    assert cluster["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


def test_head_does_no_work_and_workers_start_from_none():
    assert "--num-cpus=0" in str(load("docs/cluster_local.yaml")["head_start_ray_commands"])
    types = load("cluster.yaml")["available_node_types"]
    assert types.pop("head")["resources"] == {"CPU": 0}
    assert {kind["min_workers"] for kind in types.values()} == {0}
    spot = {name for name, kind in types.items() if "InstanceMarketOptions" in kind["node_config"]}
    assert spot == {"cpu_worker"}


def test_kubernetes_manifest_has_the_fields_that_are_relied_on():
    manifest = load("docs/rayjob.yaml")
    jsonschema.validate(manifest, RAY_JOB)
    cluster = manifest["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == version("ray")
    assert cluster["authOptions"]["mode"] == "token"
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert {group["minReplicas"] for group in cluster["workerGroupSpecs"]} == {0}


def test_manifests_job_is_a_command_line_and_its_growth_is_that_of_its_workers():
    manifest = load("docs/rayjob.yaml")["spec"]
    config = parse(manifest["entrypoint"].split()[3:])
    cpu, gpu = manifest["rayClusterSpec"]["workerGroupSpecs"]
    assert config.ray.grows_to_cpus == 16 * cpu["maxReplicas"]
    assert config.ray.grows_to_gpus == gpu["maxReplicas"]


@pytest.mark.parametrize("name", ["README.md", "docs/cluster.md"])
def test_documented_command_is_that_of_the_manifest(name):
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    (command,) = re.findall(r"ray job submit .* python -m jobs\.run_all (.*)", text)
    assert parse(command.split()) == parse(load("docs/rayjob.yaml")["spec"]["entrypoint"].split()[3:])


def test_shared_paths_are_mounted_and_the_key_lies_there():
    config = parse(load("docs/rayjob.yaml")["spec"]["entrypoint"].split()[3:])
    assert config.couinaudnet.use_gpu
    assert config.segmenter.use_gpu
    assert "--volume /mnt/shared:/mnt/shared" in load("cluster.yaml")["docker"]["run_options"]
    for path in (config.run, config.source.path, config.source.id_key):
        assert path.startswith("/mnt/shared/")


def test_image_has_what_autoscaler_and_probes_call_and_a_laptop_gets_the_same():
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"apt-get install .* procps rsync wget ", image)
    (pinned,) = re.findall(r"boto3==\S+", image)
    for name in ("README.md", "docs/cluster.md"):
        assert f"pip install {pinned} " in (ROOT / name).read_text(encoding="utf-8")


def test_images_are_of_this_version_and_pinned():
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("cluster.yaml", "docs/rayjob.yaml", "Dockerfile")]
    assert {tag for text in texts for tag in re.findall(r"REGISTRY/\S+:([\w.]+)", text)} == {__version__}
    assert "--constraint constraints.txt ." in texts[-1]
