//! `image:docker:platform` as labels of the node.

use std::collections::BTreeMap;

const OS: &str = "kubernetes.io/os";
const ARCH: &str = "kubernetes.io/arch";

/// Selects nodes of a platform such as `linux/arm64`, unless the config selects other ones.
pub(super) fn select(platform: &str, selector: &mut BTreeMap<String, String>, warnings: &mut Vec<String>) {
    let mut parts = platform.split('/');
    let (Some(os), Some(arch)) = (parts.next(), parts.next()) else {
        if !platform.is_empty() {
            warnings.push(format!("The platform {platform:?} is ignored: it is not like linux/arm64."));
        }
        return;
    };
    let arch = match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    for (key, value) in [(OS, os), (ARCH, arch)] {
        match selector.get(key) {
            Some(set) if set != value => warnings.push(format!(
                "The platform {platform:?} is ignored: the runner's nodes are selected by {key}={set}."
            )),
            _ => {
                selector.insert(key.into(), value.into());
            }
        }
    }
}
