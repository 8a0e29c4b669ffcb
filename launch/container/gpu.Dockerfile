# What runs on NVIDIA GPUs in a container; `launch/container/build.sh gpu` builds it.
# CUDA comes with JAX's own packages: the machine brings the driver (CUDA 13) and NVIDIA's container
# toolkit.
FROM python:3.12-slim

WORKDIR /opt/surgvista
COPY pyproject.toml requirements.txt README.md LICENSE ./
COPY surgvista_jax surgvista_jax
COPY configs configs
RUN pip install --no-cache-dir -e ".[gpu]"

ENTRYPOINT ["surgvista"]
CMD ["--help"]
