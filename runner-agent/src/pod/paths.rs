//! Where things are in a pod. Whoever makes the pod mounts its volumes here.

/// The volume of the agent: written by the helper, read by the build container.
pub(super) const VOLUME: &str = "/runner";

/// The agent, as the build container runs it. It appears last: whoever sees it sees everything else of the volume.
pub(super) const AGENT: &str = "/runner/agent";

/// Where the helper accepts its one connection.
pub(super) const SOCKET: &str = "/runner/agent.sock";

/// What proves the connection. Both files are gone when scripts run.
pub(super) const NONCE: &str = "/runner/nonce";

/// Programs for images without a shell.
pub(super) const SHELL: &str = "/runner/shell";

/// The static shell of the helper image.
pub(super) const BUSYBOX: &str = "/usr/lib/runner/busybox";

/// The job and the order.
pub(super) const JOB: &str = "/run/runner/job";

/// Where the kubelet reads the end record.
pub(super) const RECORD: &str = "/dev/termination-log";

/// Where whoever serves the side channel connects. Its volume is the helper's alone.
pub(super) const CHANNEL_SOCKET: &str = "/run/runner/channel/socket";

/// The repository that came over the side channel.
pub(super) const SOURCES: &str = "/run/runner/channel/sources.git";
