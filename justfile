# Every step of continuous integration under one name. `.ci/run` installs what they need and calls them.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Lists the steps.
default:
    @just --list --unsorted

# All steps.
ci: fmt lint doc test metrics examples pipelines bench arrows deny typos package tidy cluster e2e soak-slice

# Is everything formatted?
fmt:
    cargo fmt --all --check
    cd e2e && cargo fmt --check

# Clippy with the workspace's table; a warning is an error.
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cd e2e && cargo clippy --all-targets --locked -- -D warnings

# Documentation; a warning, such as a link that leads nowhere, is an error.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# Unit tests, integration tests and the examples in documentation.
test:
    cargo test --workspace --locked

# Does Prometheus read the metrics? Needs its promtool.
metrics:
    #!/usr/bin/env bash
    set -euo pipefail
    text=$(mktemp)
    trap 'rm -f "$text"' EXIT
    METRICS_TEXT="$text" cargo test --quiet --locked -p runner-bin --bin runner -- metrics::tests::the_text_is_in_the_format_of_prometheus
    # An empty file would be in the format as well.
    [ -s "$text" ]
    promtool check metrics <"$text"

# Runs every program in examples/.
examples:
    for program in examples/*.rs; do cargo run --quiet --locked -p examples --example "$(basename "$program" .rs)"; done

# Runs every pipeline in examples/pipelines, each in a repository of its own.
pipelines:
    cargo build --release --locked --bin runner
    .ci/pipelines "${CARGO_TARGET_DIR:-target}/release/runner"

# Runs every benchmark, for a short time. Two of them need a cluster.
bench:
    KUBECONFIG="${KUBECONFIG:-$(dev/cluster kubeconfig)}" cargo bench --locked -p benches --bench '*' -- --quick

# The core must see no file system, no network, no cluster, no command line.
arrows:
    #!/usr/bin/env bash
    set -euo pipefail
    forbidden='annotate-snippets|anyhow|clap|fs-err|hyper|indicatif|k8s-openapi|kube|nix|reqwest|rustix|rustls|saphyr-parser|tar|tempfile|tracing-subscriber|wait4|walkdir|zip|zstd|runner-[a-z0-9]+'
    tree=$(cargo tree --locked -p runner-core -e normal --prefix none --format '{p}' | cut -d' ' -f1 | sort -u)
    if grep -Ex "$forbidden" <<<"$tree" | grep -vx runner-core; then
        echo "runner-core must not depend on these" >&2
        exit 1
    fi
    echo "runner-core depends on nothing that touches the outside"

# Bans, licences and sources of dependencies.
deny:
    cargo deny --offline check -A unused-wrapper bans licenses sources

# Known holes in dependencies. Needs the network.
advisories:
    cargo deny check advisories

# Spelling.
typos:
    typos

# Can the crates that others use be published?
package:
    cargo package --workspace --exclude runner-testkit --exclude examples --exclude benches --locked --no-verify --allow-dirty --quiet

# The rules that no lint can see.
tidy:
    cargo test --locked -p runner-testkit --test tidy

# Makes a cluster with images and registries, where KUBECONFIG names none. Needs root; the first time takes ten minutes.
cluster:
    dev/setup >/dev/null

# Tests on the cluster of KUBECONFIG, or of dev/cluster, and on MinIO; the first time, MinIO is built in eight minutes.
e2e *ARGUMENTS:
    #!/usr/bin/env bash
    set -euo pipefail
    export KUBECONFIG="${KUBECONFIG:-$(dev/cluster kubeconfig)}"
    cargo build --release --locked --bin runner
    export RUNNER="${CARGO_TARGET_DIR:-$PWD/target}/release/runner"
    [ -n "${MINIO_ENDPOINT:-}" ] || eval "$(dev/minio up)"
    [ -n "${VERSITYGW_ENDPOINT:-}" ] || eval "$(dev/versitygw up)"
    cd e2e
    cargo test --locked -- {{ARGUMENTS}}

# Kills the runner again and again over running jobs on the cluster, for three minutes: one with a ledger as the source of
# jobs, one with a GitLab server on a bad way, and one with that and many short runs in simulated pods.
soak-slice:
    #!/usr/bin/env bash
    set -euo pipefail
    export KUBECONFIG="${KUBECONFIG:-$(dev/cluster kubeconfig)}" SOAK_SECONDS=60
    cd e2e
    cargo test --locked --test it -- kills:: --nocapture --test-threads=1

# The same with 200 kills for each of the first two and 1,000 runs in simulated pods, from the seed SOAK_SEED on or from a
# new one.
soak:
    #!/usr/bin/env bash
    set -euo pipefail
    export KUBECONFIG="${KUBECONFIG:-$(dev/cluster kubeconfig)}" SOAK_KILLS="${SOAK_KILLS:-200}" SOAK_RUNS="${SOAK_RUNS:-1000}"
    cd e2e
    cargo test --locked --test it -- kills:: --nocapture --test-threads=1

# Records the picture in the README.
picture:
    cargo build --release --locked --bin runner
    docs/record "${CARGO_TARGET_DIR:-target}/release/runner" > docs/exec.svg
