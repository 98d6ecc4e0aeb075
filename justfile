# The commands of .ci/run, one at a time. `just` lists them; `just ci` runs them all.

_default:
    @just --list --unsorted

# What continuous integration runs
ci:
    .ci/run

# Format check
format:
    .ci/run format

# clippy with warnings denied
lint:
    .ci/run lint

# Bans, licenses and sources of dependencies, offline
dependencies:
    .ci/run fetch dependencies

# The test command of README.md, real API server included
tests:
    .ci/run tests

# What needs more than Rust and Go, such as promtool; on Debian
tools:
    .ci/run tools

# Argo CD's own code, every version of it, about 20,000 states each: ten minutes
oracle states="20000":
    KEYGUARD_ORACLE_VERSIONS=all KEYGUARD_ORACLE_STATES={{states}} cargo test --test it oracle -- --nocapture

# Tables, schemas and webhooks from the program, deploy/manifests from the chart; needs helm
render:
    deploy/render

# The image, built without a daemon; needs buildah
image:
    deploy/image/build.sh

# What is refused and what is not, without a cluster
demo:
    cargo run --release -- demo

# Decode, decide, encode; then the load against a server that answers a constant
bench:
    cargo bench --bench review
    cargo bench --bench load
