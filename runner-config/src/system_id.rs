//! The id by which a server tells apart the managers of one runner.

use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use runner_core::{Finding, finding::Severity};
use sha2::Sha256;

/// The file that keeps the id, beside the config.
const FILE: &str = ".runner_system_id";

/// How many letters follow the `s_` or `r_`.
const LENGTH: usize = 12;

/// What tells this machine apart from others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// The id that the system has given it; `None` in most containers.
    pub id: Option<String>,
    /// The name of the host; in a pod the name of the pod.
    pub host_name: String,
}

impl Machine {
    /// This machine, whose name is `host_name`. Blocks for as long as two small files take.
    pub fn read(host_name: impl Into<String>) -> Self {
        let places = ["/var/lib/dbus/machine-id", "/etc/machine-id"];
        let read = |path: &&str| fs_err::read_to_string(path).ok();
        let id = places.iter().filter_map(read).map(|id| id.trim().to_owned()).find(|id| !id.is_empty());
        Self { id, host_name: host_name.into() }
    }
}

/// The id of a manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemId {
    /// `s_` and a digest of the machine's id, or `r_` and twelve letters.
    pub id: String,
    /// What is to be said at the start: that the id could not be kept.
    pub finding: Option<Finding>,
}

impl SystemId {
    /// The id that is kept in `folder`, else a new one, which is kept there.
    ///
    /// A machine with an id of its own gets the id that GitLab Runner gives it. Where the folder cannot be written, a
    /// machine without one gets an id from its host name, so that a container that is started again in its pod has the
    /// same one. Blocks for as long as the files take.
    pub fn load(folder: &Path, machine: &Machine) -> Self {
        let path = folder.join(FILE);
        if let Some(id) = fs_err::read_to_string(&path).ok().and_then(|text| valid(text.trim())) {
            return Self { id, finding: None };
        }
        let of_machine = machine.id.as_deref().and_then(|id| digest("s_", id));
        let id = of_machine.clone().or_else(random).unwrap_or_default();
        if keep(&path, &id).is_ok() {
            return Self { id, finding: None };
        }
        let of_host =
            || Some(&machine.host_name).filter(|name| !name.is_empty()).and_then(|name| digest("r_", name));
        let id = of_machine.or_else(of_host).unwrap_or(id);
        let message = format!("the system id {id} could not be kept in {}", path.display());
        let mend = "let the folder be written, or put the id into that file".to_owned();
        Self { id, finding: Some(Finding { severity: Severity::Note, message, mend }) }
    }
}

fn valid(text: &str) -> Option<String> {
    let rest = text.strip_prefix("s_").or_else(|| text.strip_prefix("r_"))?;
    let is_well_formed = rest.len() == LENGTH && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_well_formed.then(|| text.to_owned())
}

/// The id itself does not leave the machine: only this does.
fn digest(prefix: &str, key: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
    mac.update(b"gitlab-runner");
    let bytes = mac.finalize().into_bytes();
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).take(LENGTH);
    Some(format!("{prefix}{}", digits.collect::<String>()))
}

fn random() -> Option<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).ok()?;
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().map(char::from);
    Some(format!("r_{}", bytes.iter().filter_map(letter).collect::<String>()))
}

/// Nobody else may read it, as in GitLab Runner.
fn keep(path: &Path, id: &str) -> std::io::Result<()> {
    use std::io::Write;

    use fs_err::os::unix::fs::OpenOptionsExt;
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_with_an_id_gets_the_one_that_gitlab_runner_gives_it() {
        let folder = tempfile::tempdir().unwrap();
        let machine =
            Machine { id: Some("0123456789abcdef0123456789abcdef".into()), host_name: String::new() };
        assert_eq!(SystemId::load(folder.path(), &machine).id, "s_ee3af03959fe");
    }

    #[test]
    fn an_id_is_kept_and_one_of_the_wrong_form_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine { id: None, host_name: "pod".into() };
        let first = SystemId::load(folder.path(), &machine);
        assert_eq!(valid(&first.id).as_deref(), Some(first.id.as_str()));
        assert!(first.id.starts_with("r_") && first.finding.is_none());
        assert_eq!(SystemId::load(folder.path(), &machine), first);
        let path = folder.path().join(FILE);
        fs_err::write(&path, "r_kept4UsABCDE\n").unwrap();
        assert_eq!(SystemId::load(folder.path(), &machine).id, "r_kept4UsABCDE");
        for wrong in ["", "x_kept4UsABCDE", "r_short", "r_kept4Us-BCDE"] {
            fs_err::write(&path, wrong).unwrap();
            let id = SystemId::load(folder.path(), &machine).id;
            assert_ne!(id, wrong);
            assert_eq!(fs_err::read_to_string(&path).unwrap(), id);
        }
    }

    #[test]
    fn where_nothing_can_be_kept_the_same_pod_has_the_same_id() {
        let folder = Path::new("/proc/self/no-such-folder");
        let of = |host: &str| SystemId::load(folder, &Machine { id: None, host_name: host.into() });
        assert_eq!(of("a").id, of("a").id);
        assert_ne!(of("a").id, of("b").id);
        assert!(of("a").id.starts_with("r_") && of("a").finding.is_some());
    }
}
