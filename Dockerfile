# The annotation app: docker build -t spanwise . && see docs/guides/annotate_deploy.md
FROM python:3.12-slim

RUN useradd --create-home --uid 10001 spanwise && mkdir /project && chown spanwise /project
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src src
RUN pip install --no-cache-dir -c constraints.txt '.[annotate]' && rm -rf /source

USER spanwise
WORKDIR /project
VOLUME /project
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD \
  ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["spanwise", "annotate"]
CMD ["serve", "/project", "--host", "0.0.0.0", "--behind-proxy", "--host-name", "localhost"]
