# The environment of every node: cluster.yaml and docs/rayjob.yaml name this image. Not built by us: no registry, no GPU here.
#
#   docker build --tag REGISTRY/liver-label-refinement:0.1.0 .
#
# torch comes from PyPI with CUDA, which also runs on nodes without a GPU. For an image of CPUs alone, 5 GB smaller:
#   docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu ...
FROM python:3.11-slim-bookworm

ARG TORCH_INDEX=https://pypi.org/simple

# What Ray's autoscaler uses in a container, beside Ray, and what KubeRay's probes call.
RUN apt-get update && apt-get install --yes --no-install-recommends procps rsync wget \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 ray

WORKDIR /opt/liver-label-refinement
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY pipeline ./pipeline
COPY jobs ./jobs
COPY tune_spaces ./tune_spaces

# One pip call: resolved apart, nnunetv2's dependencies would replace torch by another build.
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" --constraint constraints.txt .

# What Ray's autoscaler on the head needs on AWS. A call of its own: it wants python-dateutil before 3, and gets it.
RUN pip install --no-cache-dir boto3==1.44.5

USER ray
WORKDIR /home/ray
