# What runs on TPUs in a container; `launch/container/build.sh tpu` builds it.
FROM python:3.12-slim

WORKDIR /opt/surgvista
COPY pyproject.toml requirements.txt README.md LICENSE ./
COPY surgvista_jax surgvista_jax
COPY configs configs
RUN pip install --no-cache-dir -e ".[tpu]"

ENTRYPOINT ["surgvista"]
CMD ["--help"]
