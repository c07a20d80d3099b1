//! Why a container can't be made or started: what kubelets and runtimes say, in plain words.

use runner_core::FailureReason;

use super::{
    ContainerState,
    container::{Kind, Seat},
    line::{any, bare, cite, quoted},
    waiting::{WaitCause, Waiting},
};

/// The agent as the build container runs it. The helper puts it there.
const AGENT: &str = "/runner/agent";

/// Why a container can't be made or started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StartTrouble {
    /// The helper did not put the agent in place.
    AgentMissing,
    /// The helper's image holds no agent.
    HelperImage,
    /// The hook of the helper's start failed.
    Hook,
    /// A Secret does not exist.
    NoSecret,
    /// A `ConfigMap` does not exist.
    NoConfigMap,
    /// A Secret or a `ConfigMap` has no such key.
    NoKey,
    /// The container must not run as root, and its image does, or doesn't say.
    RunsAsRoot,
    /// The image has no such command.
    NoCommand,
    /// The command must not be executed.
    NotExecutable,
    /// The command is made for another platform.
    WrongPlatform,
    /// The working directory can't be one.
    WorkingDirectory,
    /// The image has no such user or group.
    NoUser,
    /// The seccomp profile can't be loaded.
    Seccomp,
    /// The `AppArmor` profile can't be loaded.
    AppArmor,
    /// A device is not there.
    Device,
    /// The memory limit is too low even to start.
    MemoryLimit,
    /// A volume can't be mounted into the container.
    Mount,
    /// The node's kernel refuses a setting of the container.
    InvalidSetting,
    /// The runtime or the kubelet is too slow, or not ready yet.
    Slow,
    /// It ended, and is started again and again.
    Crashes,
    /// Something else.
    Other,
}

impl StartTrouble {
    /// Whether waiting can't help, even where the kubelet tries again.
    pub fn is_permanent(self) -> bool {
        !matches!(self, Self::Slow | Self::Other | Self::Crashes | Self::Device)
    }

    fn reason(self) -> FailureReason {
        match self {
            Self::AgentMissing | Self::Hook | Self::Slow | Self::Crashes | Self::Device | Self::Other => {
                FailureReason::RunnerSystemFailure
            }
            _ => FailureReason::ConfigurationError,
        }
    }
}

/// What is wrong with the start of `seat`, which waits for `reason` or has failed to start.
pub(super) fn waiting(seat: &Seat<'_>) -> Option<Waiting> {
    if let Some((reason, message)) = seat.wait() {
        let trouble = match reason {
            "CreateContainerConfigError" => configuration(message),
            "CreateContainerError" | "RunContainerError" | "StartError" | "ContainerCannotRun" => {
                start(seat, message)
            }
            "PostStartHookError" if seat.kind == Kind::Helper => StartTrouble::Hook,
            "PostStartHookError" => StartTrouble::Other,
            "CrashLoopBackOff" => StartTrouble::Crashes,
            _ => return None,
        };
        return Some(wait(seat, trouble, message, trouble.is_permanent()));
    }
    match seat.state() {
        ContainerState::Ended { reason, message, .. } if reason == "PostStartHookError" => {
            let trouble = if seat.kind == Kind::Helper { StartTrouble::Hook } else { StartTrouble::Other };
            Some(wait(seat, trouble, &message, true))
        }
        state @ ContainerState::Ended { .. } if state.failed_to_start() => {
            let ContainerState::Ended { message, .. } = state else { return None };
            let trouble = start(seat, &message);
            // A sidecar of the native kind is started again; all others are not.
            let again = seat.container.restart_policy.as_deref() == Some("Always");
            Some(wait(seat, trouble, &message, !again || trouble.is_permanent()))
        }
        _ => None,
    }
}

fn wait(seat: &Seat<'_>, trouble: StartTrouble, message: &str, permanent: bool) -> Waiting {
    Waiting {
        cause: WaitCause::Start(trouble),
        line: line(seat, trouble, message),
        permanent,
        reason: trouble.reason(),
        container: Some(seat.name.to_owned()),
    }
}

fn configuration(message: &str) -> StartTrouble {
    let text = message.to_lowercase();
    // Races of a kubelet's caches; it tries again in a moment.
    if any(&text, &["not registered", "have not yet been read", "timed out waiting", "failed to sync"]) {
        return StartTrouble::Slow;
    }
    if any(&text, &["couldn't find key", "non-existent secret key", "non-existent config key"]) {
        return StartTrouble::NoKey;
    }
    if text.contains("runasnonroot") {
        return StartTrouble::RunsAsRoot;
    }
    match text.trim_start() {
        text if text.starts_with("secret ") && text.contains("not found") => StartTrouble::NoSecret,
        text if text.starts_with("configmap ") && text.contains("not found") => StartTrouble::NoConfigMap,
        text if text.contains("subpath") => StartTrouble::Mount,
        _ => StartTrouble::Other,
    }
}

/// What decides, in this order.
const TELLTALES: &[(StartTrouble, &[&str])] = &[
    (
        StartTrouble::MemoryLimit,
        &["unable to set memory limit", "oom-killed", "memory limit too low", "cannot allocate memory"],
    ),
    (StartTrouble::Seccomp, &["seccomp"]),
    (StartTrouble::AppArmor, &["apparmor"]),
    (
        StartTrouble::NoUser,
        &["unable to find user", "unable to find group", "no users found", "no groups found", "/etc/passwd"],
    ),
    (StartTrouble::WrongPlatform, &["exec format error"]),
    (
        StartTrouble::Device,
        &["no such device", "gathering device information", "unknown device", "unresolvable cdi devices"],
    ),
    (StartTrouble::Mount, &["error mounting", "failed to mount", "mounting ", "is not a shared mount"]),
    (StartTrouble::WorkingDirectory, &["chdir to cwd", "mkdir /", "working directory"]),
    (StartTrouble::InvalidSetting, &["invalid argument"]),
    (
        StartTrouble::Slow,
        &[
            "deadline exceeded",
            "is reserved for",
            "already in use",
            "ttrpc: closed",
            "timed out",
            "not ready",
        ],
    ),
];

fn start(seat: &Seat<'_>, message: &str) -> StartTrouble {
    let text = message.to_lowercase();
    let absent =
        any(&text, &["no such file or directory", "executable file"]) && !text.contains("permission denied");
    let executes = text.split_whitespace().any(|word| matches!(word, "exec:" | "exec"))
        || any(&text, &["executable file", "open executable"]);
    if executes && text.contains("permission denied") {
        return StartTrouble::NotExecutable;
    }
    if executes && absent {
        let command = command(message);
        return match seat.kind {
            Kind::Build if command == Some(AGENT) => StartTrouble::AgentMissing,
            Kind::Helper => StartTrouble::HelperImage,
            _ => StartTrouble::NoCommand,
        };
    }
    let text = bare(message, &[seat.image]);
    let found = TELLTALES.iter().find(|(_, needles)| any(&text, needles));
    found.map_or(StartTrouble::Other, |(trouble, _)| *trouble)
}

/// The command that was not to be had.
fn command(message: &str) -> Option<&str> {
    let after = ["exec: ", "exec ", "executable file "].iter().find_map(|lead| message.split_once(lead));
    quoted(after.map_or(message, |(_, after)| after))
}

fn line(seat: &Seat<'_>, trouble: StartTrouble, message: &str) -> String {
    let who = seat.words();
    let name = quoted(message).unwrap_or_default();
    let why = match trouble {
        StartTrouble::AgentMissing => {
            return format!("{who} cannot start: the helper container did not put the agent at {AGENT}");
        }
        StartTrouble::HelperImage => {
            let command = command(message).unwrap_or_default();
            return format!(
                "{who} cannot start: its image {} does not hold our agent ({command})",
                seat.image
            );
        }
        StartTrouble::Hook => return format!("{who} did not put the agent in place: its start hook failed"),
        StartTrouble::Slow => return format!("waiting for {who}: the node is slow to make it"),
        StartTrouble::Crashes => return format!("waiting for {who}: it ends again and again"),
        StartTrouble::NoSecret => format!("the secret {name} does not exist"),
        StartTrouble::NoConfigMap => format!("the config map {name} does not exist"),
        StartTrouble::NoKey => key(message),
        StartTrouble::RunsAsRoot if message.contains("non-numeric") => {
            "it must not run as root, and its image names its user in place of giving a number".to_owned()
        }
        StartTrouble::RunsAsRoot => "it must not run as root, and its image does".to_owned(),
        StartTrouble::NoCommand => match command(message) {
            Some(command) => format!("its image has no command {command}"),
            None => "its image has no such command".to_owned(),
        },
        StartTrouble::NotExecutable => {
            format!("{} is not executable for its user", command(message).unwrap_or("its command"))
        }
        StartTrouble::WrongPlatform => "its command is made for another platform than the node's".to_owned(),
        StartTrouble::WorkingDirectory => match &seat.container.working_dir {
            Some(directory) => format!("its working directory {directory} cannot be used"),
            None => "its working directory cannot be used".to_owned(),
        },
        StartTrouble::NoUser => "its image does not know the user that it shall run as".to_owned(),
        StartTrouble::Seccomp => "its seccomp profile cannot be loaded on the node".to_owned(),
        StartTrouble::AppArmor => "its AppArmor profile cannot be loaded on the node".to_owned(),
        StartTrouble::Device => "the node does not have a device that it wants".to_owned(),
        StartTrouble::MemoryLimit => "its memory limit is too low even to start it".to_owned(),
        StartTrouble::Mount => format!("a volume cannot be mounted ({})", cite(core(message))),
        StartTrouble::InvalidSetting => format!("the node refuses a setting of it ({})", cite(core(message))),
        StartTrouble::Other => cite(core(message)),
    };
    format!("{who} cannot start: {why}")
}

/// "couldn't find key token in Secret ci/deploy" in plain words.
fn key(message: &str) -> String {
    let words: Vec<_> = message.split_whitespace().collect();
    let after = |word: &str| words.iter().position(|found| *found == word).and_then(|at| words.get(at + 1));
    let object = words.last().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let kind = if words.contains(&"ConfigMap") { "config map" } else { "secret" };
    match after("key") {
        Some(key) if words.len() > 5 => format!("the {kind} {object} has no key {key}"),
        _ => cite(message),
    }
}

/// The message without what each failed start of the runtime begins and ends with.
fn core(message: &str) -> &str {
    let leads = [
        "unable to start container process: ",
        "runc create failed: ",
        "OCI runtime create failed: ",
        "container create failed: ",
    ];
    let found = leads.iter().find_map(|lead| message.split_once(lead));
    let core = found.map_or(message, |(_, core)| core).trim_end_matches(": unknown");
    core.strip_prefix("error during container init: ").unwrap_or(core)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Container;

    #[test]
    fn each_runtime_is_understood() {
        use StartTrouble as T;
        let container = Container::default();
        let seat =
            Seat { kind: Kind::Build, name: "build", image: "a:1", container: &container, status: None };
        for (message, trouble) in [
            (
                "exec: \"/runner/agent\": stat /runner/agent: no such file or directory: unknown",
                T::AgentMissing,
            ),
            ("executable file `/runner/agent` not found: No such file or directory", T::AgentMissing),
            ("exec: \"zsh\": executable file not found in $PATH: unknown", T::NoCommand),
            ("exec: \"/x\": permission denied", T::NotExecutable),
            ("exec /x: exec format error", T::WrongPlatform),
            ("container init was OOM-killed (memory limit too low?)", T::MemoryLimit),
            (
                "unable to apply apparmor profile: apparmor failed to apply profile: write /proc/self/attr/apparmor/exec: no such file or directory",
                T::AppArmor,
            ),
            (
                "error gathering device information while adding custom device \"/dev/fuse\": no such file or directory",
                T::Device,
            ),
            ("unable to find user ci: no matching entries in passwd file", T::NoUser),
            ("chdir to cwd (\"/x\") set in config.json failed: permission denied", T::WorkingDirectory),
            ("error mounting \"/a\" to rootfs at \"/b\": not a directory", T::Mount),
            (
                "failed to reserve container name \"build_x\": name \"build_x\" is reserved for \"45f1536eb997\"",
                T::Slow,
            ),
            ("write sysctl key kernel.x: invalid argument", T::InvalidSetting),
        ] {
            assert_eq!(start(&seat, message), trouble, "{message}");
        }
        assert_eq!(configuration("object \"ci\"/\"deploy\" not registered"), T::Slow);
    }
}
