//! What each status of the corpus must be judged to say.

/// Where a status comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A real API server answered it.
    Recorded,
    /// It is written after the documentation and the source of Kubernetes and of runtimes.
    Written,
}

impl Source {
    pub(super) fn directory(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Written => "written",
        }
    }
}

use Source::{Recorded, Written};

/// One file with its judgement, a part a line.
pub(super) struct Row {
    pub(super) file: &'static str,
    pub(super) source: Source,
    pub(super) told: &'static [&'static str],
}

const fn row(file: &'static str, source: Source, told: &'static [&'static str]) -> Row {
    Row { file, source, told }
}

/// Each file of `recorded` and `written`.
pub(super) const STATUSES: &[Row] = &[
    row("build-exit-1", Recorded, &["node-1: helper running, build ended 1 Error; may have begun"]),
    row("build-exit-3", Recorded, &["node-1: helper running, build ended 3 Error; may have begun"]),
    row(
        "config-configmap-key",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Start(NoKey), configuration_error): the build container cannot start: the config map present has no key mode",
        ],
    ),
    row(
        "config-configmap-missing",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Start(NoConfigMap), configuration_error): the build container cannot start: the config map settings does not exist",
        ],
    ),
    row(
        "config-non-root-name",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Start(RunsAsRoot), configuration_error): the build container cannot start: it must not run as root, and its image names its user in place of giving a number",
        ],
    ),
    row(
        "config-non-root",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Start(RunsAsRoot), configuration_error): the build container cannot start: it must not run as root, and its image names its user in place of giving a number",
        ],
    ),
    row(
        "config-secret-key",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Start(NoKey), configuration_error): the build container cannot start: the secret present has no key token",
        ],
    ),
    row(
        "config-secret-missing",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Start(NoSecret), configuration_error): the build container cannot start: the secret deploy does not exist",
        ],
    ),
    row(
        "config-service-secret",
        Recorded,
        &[
            "node-1: helper running, svc-0 waiting, build running; may have begun",
            "svc-0 waits for good (Start(NoSecret), configuration_error): service postgres:15 cannot start: the secret job-services does not exist",
        ],
    ),
    row(
        "creating-runtime",
        Recorded,
        &[
            "node-1: helper waiting, build waiting; may have begun",
            "pod waits for a while (Creating, runner_system_failure): waiting for the containers to start on node-1",
        ],
    ),
    row(
        "creating-secret-volume",
        Recorded,
        &[
            "node-1: helper waiting, build waiting; may have begun",
            "pod waits for a while (Creating, runner_system_failure): waiting for the containers to start on node-1",
        ],
    ),
    row(
        "deadline",
        Recorded,
        &[
            "node-1: helper ended 143 Error, build ended 143 Error; may have begun",
            "ends (DeadlineExceeded, job_execution_timeout): the pod was ended: it was active for longer than it may",
        ],
    ),
    row(
        "deleted-ended",
        Recorded,
        &[
            "node-1: helper ended 143 Error, build ended 143 Error; may have begun",
            "ends (Deleted, runner_interrupted): the pod was deleted",
        ],
    ),
    row(
        "deleted-running",
        Recorded,
        &[
            "node-1: helper running, build running; may have begun",
            "ends (Deleted, runner_interrupted): the pod was deleted",
        ],
    ),
    row(
        "evicted-api-before-start",
        Recorded,
        &[
            "node-1: helper ended 143 Error, build ended 137 ContainerStatusUnknown; has not begun",
            "ends (EvictedThroughApi, runner_interrupted): the pod was evicted, as when its node is drained",
        ],
    ),
    row(
        "evicted-api",
        Recorded,
        &[
            "node-1: helper running, build running; may have begun",
            "ends (EvictedThroughApi, runner_interrupted): the pod was evicted, as when its node is drained",
        ],
    ),
    row(
        "helper-killed",
        Recorded,
        &[
            "node-1: helper ended 137 Error, build running; may have begun",
            "ends (ContainerDied, runner_system_failure): the helper container ended with exit code 137 and left no record",
        ],
    ),
    row(
        "helper-record",
        Recorded,
        &[
            "node-1: helper ended 0 Completed, build running; may have begun",
            "record {\"outcome\":\"Succeeded\",\"reported\":true,\"script_begun\":true}",
        ],
    ),
    row(
        "hook-failed",
        Recorded,
        &[
            "node-1: helper ended 143 Error, build running; may have begun",
            "ends (ContainerDied, runner_system_failure): the helper container ended with exit code 143 and left no record",
        ],
    ),
    row(
        "init-failed",
        Recorded,
        &[
            "node-1: helper waiting, build waiting; has not begun",
            "ends (InitContainerFailed, runner_system_failure): the init container fetch-certs ended with exit code 3",
        ],
    ),
    row(
        "init-pull",
        Recorded,
        &[
            "node-1: helper waiting, build waiting; may have begun",
            "fetch-certs waits for good (Image(NotFound), image_pull_failure): cannot get the image registry.example.com/c404/init:1 of the init container fetch-certs: it does not exist in its registry",
        ],
    ),
    row(
        "init-running",
        Recorded,
        &[
            "node-1: helper waiting, build waiting; may have begun",
            "fetch-certs waits for a while (Initialising, runner_system_failure): waiting for the init container fetch-certs to end",
        ],
    ),
    row(
        "init-start-failed",
        Recorded,
        &[
            "node-1: helper waiting, build waiting; may have begun",
            "istio-proxy waits for good (Start(NoCommand), configuration_error): the init container istio-proxy cannot start: its image has no command /nothing",
        ],
    ),
    row(
        "oom-build",
        Recorded,
        &[
            "node-1: helper running, build ended 137 OOMKilled; may have begun",
            "build of 64Mi: the build container ran out of memory: its limit is 64Mi",
        ],
    ),
    row(
        "oom-child",
        Recorded,
        &[
            "node-1: helper running, build ended 137 OOMKilled; may have begun",
            "build of 64Mi: the build container ran out of memory: its limit is 64Mi",
        ],
    ),
    row(
        "oom-helper",
        Recorded,
        &[
            "node-1: helper ended 137 OOMKilled, build running; may have begun",
            "ends (ContainerDied, runner_system_failure): the helper container ran out of memory: its limit is 64Mi",
            "helper of 64Mi: the helper container ran out of memory: its limit is 64Mi",
        ],
    ),
    row(
        "oom-service",
        Recorded,
        &[
            "node-1: helper running, svc-0 ended 137 OOMKilled, build running; may have begun",
            "svc-0 of 48Mi: service postgres:15 ran out of memory: its limit is 48Mi",
        ],
    ),
    row(
        "preempted",
        Recorded,
        &[
            "node-1: helper running, build running; may have begun",
            "ends (Preempted, runner_interrupted): the pod was preempted: a pod of a higher priority needed its place",
        ],
    ),
    row(
        "pull-bad-name",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Image(BadName), image_pull_failure): cannot get the image Registry/UPPER CASE:1 of the build container: that is no valid name of an image",
        ],
    ),
    row(
        "pull-c401",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Image(Unauthorized), image_pull_failure): cannot get the image registry.example.com/c401:1 of the build container: the registry wants credentials",
        ],
    ),
    row(
        "pull-c403",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Image(Denied), image_pull_failure): cannot get the image registry.example.com/c403:1 of the build container: the registry denies access to it, or it does not exist",
        ],
    ),
    row(
        "pull-c404-first",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Image(NotFound), image_pull_failure): cannot get the image registry.example.com/c404:2 of the build container: it does not exist in its registry",
        ],
    ),
    row(
        "pull-c404",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Image(NotFound), image_pull_failure): cannot get the image registry.example.com/c404:1 of the build container: it does not exist in its registry",
        ],
    ),
    row(
        "pull-c429",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Image(RateLimited), external_dependency_failure): waiting for the image registry.example.com/c429:1 of the build container: the registry limits the rate of pulls",
        ],
    ),
    row(
        "pull-c500",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Image(RegistryFailed), external_dependency_failure): waiting for the image registry.example.com/c500:1 of the build container: the registry answers with an error of its own",
        ],
    ),
    row(
        "pull-c503",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Image(RegistryFailed), external_dependency_failure): waiting for the image registry.example.com/c503:1 of the build container: the registry answers with an error of its own",
        ],
    ),
    row(
        "pull-carm",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Image(NoPlatform), image_pull_failure): cannot get the image registry.example.com/carm:1 of the build container: it is not made for the platform of the node",
        ],
    ),
    row(
        "pull-cdenied",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Image(Denied), image_pull_failure): cannot get the image registry.example.com/cdenied:1 of the build container: the registry denies access to it, or it does not exist",
        ],
    ),
    row(
        "pull-dns",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Image(NoSuchHost), external_dependency_failure): waiting for the image registry.example.invalid/app:1 of the build container: the host name of the registry is not found",
        ],
    ),
    row(
        "pull-helper-404",
        Recorded,
        &[
            "node-1: helper waiting, build running; may have begun",
            "helper waits for good (Image(NotFound), image_pull_failure): cannot get the image registry.example.com/c404/helper:1 of the helper container: it does not exist in its registry",
        ],
    ),
    row(
        "pull-http",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Image(NoTls), image_pull_failure): cannot get the image registry.example.com:5056/app:1 of the build container: the registry does not speak TLS",
        ],
    ),
    row(
        "pull-never",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Image(NeverPulled), image_pull_failure): cannot get the image localhost/absent:1 of the build container: it is not on the node, and the pull policy Never forbids to pull it",
        ],
    ),
    row(
        "pull-refused",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Image(Unreachable), external_dependency_failure): waiting for the image registry.example.com:5999/app:1 of the build container: the registry is not reachable",
        ],
    ),
    row(
        "pull-service-404",
        Recorded,
        &[
            "node-1: helper running, svc-0 waiting, build running; may have begun",
            "svc-0 waits for good (Image(NotFound), image_pull_failure): cannot get the image of service registry.example.com/c404/postgres:15: it does not exist in its registry",
        ],
    ),
    row(
        "pull-x509-name",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Image(Certificate), image_pull_failure): cannot get the image registry.example.com:443/app:1 of the build container: the node does not accept the certificate of the registry",
        ],
    ),
    row(
        "pull-x509",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Image(Certificate), image_pull_failure): cannot get the image registry.example.com:5543/app:1 of the build container: the node does not accept the certificate of the registry",
        ],
    ),
    row(
        "pulling-stalled",
        Recorded,
        &[
            "node-1: helper waiting, build waiting; may have begun",
            "pod waits for a while (Creating, runner_system_failure): waiting for the containers to start on node-1",
        ],
    ),
    row(
        "rejected-affinity",
        Recorded,
        &[
            "node-1: helper unknown, build unknown; has not begun",
            "ends (Rejected(Affinity), runner_system_failure): the node did not accept the pod: its labels or taints do not fit the pod",
        ],
    ),
    row(
        "rejected-apparmor",
        Recorded,
        &[
            "node-1: helper unknown, build unknown; has not begun",
            "ends (Rejected(Forbidden), configuration_error): the node did not accept the pod: Cannot enforce AppArmor: AppArmor is not enabled on the host",
        ],
    ),
    row(
        "rejected-cpu",
        Recorded,
        &[
            "node-1: helper unknown, build unknown; has not begun",
            "ends (Rejected(Room), runner_system_failure): the node did not accept the pod: it had too little free CPU",
        ],
    ),
    row(
        "rejected-memory",
        Recorded,
        &[
            "node-1: helper unknown, build unknown; has not begun",
            "ends (Rejected(Room), runner_system_failure): the node did not accept the pod: it had too little free memory",
        ],
    ),
    row(
        "rejected-sysctl",
        Recorded,
        &[
            "node-1: helper unknown, build unknown; has not begun",
            "ends (Rejected(Forbidden), configuration_error): the node did not accept the pod: forbidden sysctl: \"net.core.somaxconn\" not allowlisted",
        ],
    ),
    row("running", Recorded, &["node-1: helper running, svc-0 running, build running; may have begun"]),
    row(
        "scheduling-gated",
        Recorded,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for a while (NotScheduled([Gate]), runner_system_failure): waiting for a node: the gate example.com/quota holds the pod back",
        ],
    ),
    row(
        "start-agent-missing",
        Recorded,
        &[
            "node-1: helper running, build ended 128 StartError; has not begun",
            "build waits for good (Start(AgentMissing), runner_system_failure): the build container cannot start: the helper container did not put the agent at /runner/agent",
        ],
    ),
    row(
        "start-helper-missing",
        Recorded,
        &[
            "node-1: helper ended 128 StartError, build running; may have begun",
            "helper waits for good (Start(HelperImage), configuration_error): the helper container cannot start: its image localhost/runner-helper:1 does not hold our agent (/usr/bin/runner-agentx)",
        ],
    ),
    row(
        "start-memory-tiny",
        Recorded,
        &[
            "node-1: helper running, build ended 128 StartError; has not begun",
            "build waits for good (Start(MemoryLimit), configuration_error): the build container cannot start: its memory limit is too low even to start it",
        ],
    ),
    row(
        "start-not-executable",
        Recorded,
        &[
            "node-1: helper running, build ended 128 StartError; has not begun",
            "build waits for good (Start(NotExecutable), configuration_error): the build container cannot start: /plain is not executable for its user",
        ],
    ),
    row(
        "start-not-found",
        Recorded,
        &[
            "node-1: helper running, build ended 128 StartError; has not begun",
            "build waits for good (Start(NoCommand), configuration_error): the build container cannot start: its image has no command /usr/bin/zsh",
        ],
    ),
    row(
        "start-seccomp",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Start(Seccomp), configuration_error): the build container cannot start: its seccomp profile cannot be loaded on the node",
        ],
    ),
    row(
        "start-user-name",
        Recorded,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Start(NoUser), configuration_error): the build container cannot start: its image does not know the user that it shall run as",
        ],
    ),
    row(
        "start-workdir",
        Recorded,
        &[
            "node-1: helper running, build ended 128 StartError; has not begun",
            "build waits for good (Start(WorkingDirectory), configuration_error): the build container cannot start: its working directory /plain cannot be used",
        ],
    ),
    row(
        "succeeded",
        Recorded,
        &[
            "node-1: helper ended 0 Completed, build ended 0 Completed; may have begun",
            "record {\"outcome\":\"Succeeded\",\"reported\":true}",
        ],
    ),
    row(
        "unschedulable-claim-missing",
        Recorded,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for good (NotScheduled([NoClaim]), configuration_error): waiting for a node: the volume claim cache does not exist",
        ],
    ),
    row(
        "unschedulable-claim-unbound",
        Recorded,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for a while (NotScheduled([Claim]), runner_system_failure): waiting for a node: a volume claim has no volume yet",
        ],
    ),
    row(
        "unschedulable-cpu",
        Recorded,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for a while (NotScheduled([Cpu]), runner_system_failure): waiting for a node: all have too little free CPU",
        ],
    ),
    row(
        "unschedulable-gpu",
        Recorded,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for a while (NotScheduled([Resource]), runner_system_failure): waiting for a node: all have too little free nvidia.com/gpu",
        ],
    ),
    row(
        "unschedulable-host-port",
        Recorded,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for a while (NotScheduled([HostPort]), runner_system_failure): waiting for a node: all have a port of the host taken",
        ],
    ),
    row(
        "unschedulable-memory",
        Recorded,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for a while (NotScheduled([Memory]), runner_system_failure): waiting for a node: all have too little free memory",
        ],
    ),
    row(
        "unschedulable-mixed",
        Recorded,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for a while (NotScheduled([Cpu, Taint]), runner_system_failure): waiting for a node: some have too little free CPU, some have a taint that the pod does not tolerate",
        ],
    ),
    row(
        "unschedulable-node-selector",
        Recorded,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for a while (NotScheduled([Selector]), runner_system_failure): waiting for a node: none matches the node selector or the node affinity",
        ],
    ),
    row(
        "unschedulable-pod-affinity",
        Recorded,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for a while (NotScheduled([PodAffinity]), runner_system_failure): waiting for a node: none matches the affinity to other pods",
        ],
    ),
    row(
        "bound-without-status",
        Written,
        &[
            "node-1: helper unknown, svc-0 unknown, build unknown; may have begun",
            "pod waits for a while (Creating, runner_system_failure): waiting for the containers to start on node-1",
        ],
    ),
    row(
        "config-cache-race",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Start(Slow), runner_system_failure): waiting for the build container: the node is slow to make it",
        ],
    ),
    row(
        "config-root",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Start(RunsAsRoot), configuration_error): the build container cannot start: it must not run as root, and its image does",
        ],
    ),
    row(
        "deleted-after-record",
        Written,
        &[
            "node-1: helper ended 0 Completed, build ended 0 Completed; may have begun",
            "record {\"outcome\":\"Succeeded\",\"reported\":true}",
        ],
    ),
    row(
        "deleted-by-pod-gc",
        Written,
        &[
            "node-1: helper running, build running; may have begun",
            "ends (NodeGone, runner_interrupted): the pod was removed: its node no longer exists",
        ],
    ),
    row(
        "deleted-by-taint",
        Written,
        &[
            "node-1: helper running, build running; may have begun",
            "ends (DeletedByTaint, runner_interrupted): the pod was deleted: its node got a taint that it does not tolerate",
        ],
    ),
    row(
        "deleted-unbound",
        Written,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "ends (Deleted, runner_interrupted): the pod was deleted",
        ],
    ),
    row(
        "evicted-container-storage",
        Written,
        &[
            "node-1: helper ended 143 Error, build ended 143 Error; may have begun",
            "ends (OverStorageLimit, script_failure): the pod was evicted: the build container wrote more than its limit of storage",
        ],
    ),
    row(
        "evicted-disk",
        Written,
        &[
            "node-1: helper ended 143 Error, build ended 143 Error; may have begun",
            "ends (Evicted(Disk), runner_interrupted): the pod was evicted: its node ran short of disk",
        ],
    ),
    row(
        "evicted-inodes",
        Written,
        &[
            "node-1: helper ended 143 Error, build ended 143 Error; may have begun",
            "ends (Evicted(Inodes), runner_interrupted): the pod was evicted: its node ran short of inodes of a disk",
        ],
    ),
    row(
        "evicted-memory",
        Written,
        &[
            "node-1: helper ended 143 Error, build ended 143 Error; may have begun",
            "ends (Evicted(Memory), runner_interrupted): the pod was evicted: its node ran short of memory",
        ],
    ),
    row(
        "evicted-pids",
        Written,
        &[
            "node-1: helper ended 143 Error, build ended 143 Error; may have begun",
            "ends (Evicted(ProcessIds), runner_interrupted): the pod was evicted: its node ran short of process ids",
        ],
    ),
    row(
        "evicted-pod-storage",
        Written,
        &[
            "node-1: helper ended 143 Error, build ended 143 Error; may have begun",
            "ends (OverStorageLimit, script_failure): the pod was evicted: its containers wrote more than their limit of storage",
        ],
    ),
    row(
        "evicted-volume-limit",
        Written,
        &[
            "node-1: helper ended 143 Error, build ended 143 Error; may have begun",
            "ends (OverStorageLimit, script_failure): the pod was evicted: the volume builds holds more than its limit",
        ],
    ),
    row(
        "evicted-without-containers",
        Written,
        &[
            "node-1: helper unknown, build unknown; may have begun",
            "ends (Evicted(Memory), runner_interrupted): the pod was evicted: its node ran short of memory",
        ],
    ),
    row(
        "hook-error",
        Written,
        &[
            "node-1: helper waiting, build waiting; may have begun",
            "helper waits for good (Start(Hook), runner_system_failure): the helper container did not put the agent in place: its start hook failed",
        ],
    ),
    row(
        "lost-by-reboot",
        Written,
        &[
            "node-1: helper ended 137 ContainerStatusUnknown, svc-0 ended 137 ContainerStatusUnknown, build ended 137 ContainerStatusUnknown; may have begun",
            "ends (ContainerDied, runner_system_failure): the helper container ended with exit code 137 and left no record",
        ],
    ),
    row(
        "node-lost",
        Written,
        &[
            "node-1: helper running, svc-0 running, build running; may have begun",
            "ends (NodeLost, runner_interrupted): the node of the pod does not answer",
        ],
    ),
    row(
        "node-shutdown",
        Written,
        &[
            "node-1: helper ended 143 Error, build ended 143 Error; may have begun",
            "ends (NodeShutdown, runner_interrupted): the pod was ended: its node shuts down",
        ],
    ),
    row(
        "node-unknown",
        Written,
        &[
            "node-1: helper running, svc-0 running, build running; may have begun",
            "ends (NodeLost, runner_interrupted): the node of the pod does not answer",
        ],
    ),
    row(
        "node-unreachable",
        Written,
        &[
            "node-1: helper running, build running; may have begun",
            "ends (NodeLost, runner_interrupted): the node of the pod does not answer",
        ],
    ),
    row(
        "oom-at-start",
        Written,
        &[
            "node-1: helper running, build ended 128 StartError; has not begun",
            "build waits for good (Start(MemoryLimit), configuration_error): the build container cannot start: its memory limit is too low even to start it",
            "build of 64Mi: the build container ran out of memory: its limit is 64Mi",
        ],
    ),
    row(
        "oom-cgroup-v2-group",
        Written,
        &[
            "node-1: helper running, build ended 137 OOMKilled; may have begun",
            "build of 64Mi: the build container ran out of memory: its limit is 64Mi",
        ],
    ),
    row(
        "oom-in-message",
        Written,
        &[
            "node-1: helper running, build ended 137 Error; may have begun",
            "build of 64Mi: the build container ran out of memory: its limit is 64Mi",
        ],
    ),
    row(
        "oom-pod-limit",
        Written,
        &[
            "node-1: helper running, build ended 137 OOMKilled; may have begun",
            "build of 2Gi: the build container ran out of memory: its limit is 2Gi",
        ],
    ),
    row(
        "oom-without-limit",
        Written,
        &[
            "node-1: helper running, build ended 137 OOMKilled; may have begun",
            "build of no limit: the build container ran out of memory: it has no limit, and the node has no more",
        ],
    ),
    row(
        "preempted-critical",
        Written,
        &[
            "node-1: helper ended 143 Error, build ended 143 Error; may have begun",
            "ends (Preempted, runner_interrupted): the pod was preempted: the node needed its place for a critical pod",
        ],
    ),
    row(
        "pull-backoff-old-kubelet",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Image(Unsaid), image_pull_failure): waiting for the image registry.example.com/c404:1 of the build container: pulling it failed, and the node tries again later",
        ],
    ),
    row(
        "pull-corrupt-layer",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Image(Corrupt), external_dependency_failure): waiting for the image registry.example.com/c404:1 of the build container: what the registry sends is damaged",
        ],
    ),
    row(
        "pull-crio-unknown",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Image(NotFound), image_pull_failure): cannot get the image registry.example.com/c404:1 of the build container: it does not exist in its registry",
        ],
    ),
    row(
        "pull-disk-full",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Image(DiskFull), runner_system_failure): waiting for the image registry.example.com/c404:1 of the build container: the disk of the node is full",
        ],
    ),
    row(
        "pull-docker-denied",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Image(Denied), image_pull_failure): cannot get the image registry.example.com/c404:1 of the build container: the registry denies access to it, or it does not exist",
        ],
    ),
    row(
        "pull-eof",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Image(Cut), external_dependency_failure): waiting for the image registry.example.com/c404:1 of the build container: the registry cuts the connection",
        ],
    ),
    row(
        "pull-handshake-timeout",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Image(Slow), external_dependency_failure): waiting for the image registry.example.com/c404:1 of the build container: the registry does not answer in time",
        ],
    ),
    row(
        "pull-rate-limit-docker-hub",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Image(RateLimited), external_dependency_failure): waiting for the image registry.example.com/c404:1 of the build container: the registry limits the rate of pulls",
        ],
    ),
    row(
        "pull-registry-unavailable",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Image(RegistryFailed), external_dependency_failure): waiting for the image registry.example.com/c404:1 of the build container: the registry answers with an error of its own",
        ],
    ),
    row(
        "pull-signature",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Image(Signature), image_pull_failure): cannot get the image registry.example.com/c404:1 of the build container: its signature is not accepted",
        ],
    ),
    row(
        "pull-timeout",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Image(Slow), external_dependency_failure): waiting for the image registry.example.com/c404:1 of the build container: the registry does not answer in time",
        ],
    ),
    row(
        "rejected-by-restarted-kubelet",
        Written,
        &[
            "node-1: helper unknown, build unknown; may have begun",
            "ends (Rejected(Room), runner_system_failure): the node did not accept the pod: it had too little free CPU",
        ],
    ),
    row(
        "rejected-device",
        Written,
        &[
            "node-1: helper unknown, build unknown; has not begun",
            "ends (Rejected(Admission), runner_system_failure): the node did not accept the pod: Allocate failed due to no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu, which is unexpected",
        ],
    ),
    row(
        "rejected-gpu",
        Written,
        &[
            "node-1: helper unknown, build unknown; has not begun",
            "ends (Rejected(Room), runner_system_failure): the node did not accept the pod: it had too little free nvidia.com/gpu",
        ],
    ),
    row(
        "rejected-old-kubelet",
        Written,
        &[
            "node-1: helper unknown, build unknown; has not begun",
            "ends (Rejected(Room), runner_system_failure): the node did not accept the pod: it had too little free CPU",
        ],
    ),
    row(
        "rejected-pods",
        Written,
        &[
            "node-1: helper unknown, build unknown; has not begun",
            "ends (Rejected(Room), runner_system_failure): the node did not accept the pod: it runs as many pods as it may",
        ],
    ),
    row(
        "rejected-pressure",
        Written,
        &[
            "node-1: helper unknown, build unknown; has not begun",
            "ends (Rejected(Pressure), runner_system_failure): the node did not accept the pod: it was short of disk",
        ],
    ),
    row(
        "rejected-shutdown",
        Written,
        &[
            "node-1: helper unknown, build unknown; has not begun",
            "ends (Rejected(Pressure), runner_system_failure): the node did not accept the pod: it shuts down",
        ],
    ),
    row(
        "sidecar-pull-fails",
        Written,
        &[
            "node-1: helper running, svc-0 running, build running; may have begun",
            "istio-proxy waits for a while (Image(RegistryFailed), external_dependency_failure): waiting for the image registry.example.com/proxy:1 of the container istio-proxy: the registry answers with an error of its own",
        ],
    ),
    row(
        "start-apparmor",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Start(AppArmor), configuration_error): the build container cannot start: its AppArmor profile cannot be loaded on the node",
        ],
    ),
    row(
        "start-crio-no-agent",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Start(AgentMissing), runner_system_failure): the build container cannot start: the helper container did not put the agent at /runner/agent",
        ],
    ),
    row(
        "start-device",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Start(Device), runner_system_failure): the build container cannot start: the node does not have a device that it wants",
        ],
    ),
    row(
        "start-docker-no-command",
        Written,
        &[
            "node-1: helper running, build ended 127 ContainerCannotRun; has not begun",
            "build waits for good (Start(NoCommand), configuration_error): the build container cannot start: its image has no command bash",
        ],
    ),
    row(
        "start-name-reserved",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for a while (Start(Slow), runner_system_failure): waiting for the build container: the node is slow to make it",
        ],
    ),
    row(
        "start-sysctl-unknown",
        Written,
        &[
            "node-1: helper running, build ended 128 StartError; has not begun",
            "build waits for good (Start(InvalidSetting), configuration_error): the build container cannot start: the node refuses a setting of it (open /proc/sys/net/x: invalid argument)",
        ],
    ),
    row(
        "start-user-unknown",
        Written,
        &[
            "node-1: helper running, build waiting; may have begun",
            "build waits for good (Start(NoUser), configuration_error): the build container cannot start: its image does not know the user that it shall run as",
        ],
    ),
    row(
        "start-wrong-platform",
        Written,
        &[
            "node-1: helper running, build ended 128 StartError; has not begun",
            "build waits for good (Start(WrongPlatform), configuration_error): the build container cannot start: its command is made for another platform than the node's",
        ],
    ),
    row(
        "succeeded-beside-sidecar",
        Written,
        &[
            "node-1: helper ended 0 Completed, build ended 0 Completed; may have begun",
            "record {\"outcome\":\"Succeeded\",\"reported\":true}",
        ],
    ),
    row(
        "terminated-by-kubelet",
        Written,
        &[
            "node-1: helper ended 143 Error, build ended 143 Error; may have begun",
            "ends (TerminatedByKubelet, runner_interrupted): the node ended the pod: the kubelet had to end the pod",
        ],
    ),
    row(
        "unschedulable-no-nodes",
        Written,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for a while (NotScheduled([NoNodes]), runner_system_failure): waiting for a node: the cluster has none",
        ],
    ),
    row(
        "unschedulable-not-ready",
        Written,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for a while (NotScheduled([Cordoned, Unhealthy]), runner_system_failure): waiting for a node: some are closed for new pods, some are not ready",
        ],
    ),
    row(
        "unschedulable-pods",
        Written,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for a while (NotScheduled([Pods]), runner_system_failure): waiting for a node: all run as many pods as they may",
        ],
    ),
    row(
        "unschedulable-storage",
        Written,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for a while (NotScheduled([Storage]), runner_system_failure): waiting for a node: all have too little free ephemeral storage",
        ],
    ),
    row(
        "unschedulable-three-nodes",
        Written,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for a while (NotScheduled([Memory, Taint]), runner_system_failure): waiting for a node: some have too little free memory, some have the taint gpu=true",
        ],
    ),
    row(
        "unscheduled",
        Written,
        &[
            "unbound: helper unknown, build unknown; has not begun",
            "pod waits for a while (Unscheduled, runner_system_failure): waiting for the scheduler",
        ],
    ),
];

/// Each file of `refusals`.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    (
        "bad-field",
        "pod waits for good (Refused(Invalid), configuration_error): the pod is not valid: Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container",
    ),
    ("exists", "pod waits for good (Refused(Exists), runner_system_failure): a pod of this name exists"),
    (
        "invalid",
        "pod waits for good (Refused(Invalid), configuration_error): the pod is not valid: spec.containers[1].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
    ),
    (
        "limit-range",
        "pod waits for good (Refused(LimitRange), configuration_error): a limit range of the namespace forbids the pod: maximum memory usage per Container is 1Gi, but limit is 2Gi",
    ),
    (
        "namespace",
        "pod waits for good (Refused(NoNamespace), configuration_error): the namespace nowhere does not exist",
    ),
    (
        "pod-security",
        "pod waits for good (Refused(PodSecurity), configuration_error): the Pod Security standard restricted of the namespace forbids the pod: allowPrivilegeEscalation != false (containers \"helper\", \"build\" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (containers \"helper\", \"build\" must set securityConte…",
    ),
    (
        "policy",
        "pod waits for good (Refused(Denied), configuration_error): the policy ci of the cluster forbids the pod: images must come from registry.example.com",
    ),
    (
        "priority-class",
        "pod waits for good (Refused(NoPriorityClass), configuration_error): the priority class urgent does not exist",
    ),
    (
        "quota-unset",
        "pod waits for good (Refused(QuotaUnset), configuration_error): the quota ci of the namespace wants requests.cpu to be set for build, helper",
    ),
    (
        "quota",
        "pod waits for a while (Refused(Quota), runner_system_failure): waiting for room in the quota ci of the namespace (pods, requests.cpu)",
    ),
    (
        "role",
        "pod waits for good (Refused(Role), configuration_error): the runner may not create pods in the namespace ci: its role lacks the rule apiGroups [\"\"], resources [\"pods\"], verbs [\"create\"]",
    ),
    (
        "runtime-class",
        "pod waits for good (Refused(NoRuntimeClass), configuration_error): the runtime class gvisor does not exist, or cannot be used for this pod",
    ),
    (
        "service-account",
        "pod waits for good (Refused(NoServiceAccount), configuration_error): the service account ci does not exist",
    ),
    (
        "terminating",
        "pod waits for good (Refused(NamespaceEnds), configuration_error): the namespace is being deleted",
    ),
    (
        "webhook-away",
        "pod waits for a while (Refused(WebhookAway), runner_system_failure): waiting for the admission webhook policy.example.com of the cluster: it does not answer",
    ),
];
