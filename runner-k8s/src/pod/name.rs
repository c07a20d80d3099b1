//! Names of pods.

use crate::settings::{MOST_LETTERS, dns_label};

/// The name of a pod: `runner-<token8>-project-<id>-concurrent-<n>-<rand>`, in the letters that Kubernetes takes.
/// `random` is kept whole; what is before it is cut where the name would be too long.
pub fn name(token8: &str, project_id: u64, slot: usize, random: &str) -> String {
    let random = dns_label(random);
    let mut front = dns_label(&format!("runner-{token8}-project-{project_id}-concurrent-{slot}"));
    front.truncate(MOST_LETTERS.saturating_sub(random.len() + 1));
    format!("{}-{random}", front.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_named_for_runner_project_and_slot() {
        assert_eq!(
            name("8cvaznryh", 75_488_734, 0, "xkxlldd4"),
            "runner-8cvaznryh-project-75488734-concurrent-0-xkxlldd4"
        );
        assert_eq!(name("t3_-Qz.x", 1, 12, "AbC"), "runner-t3--qz-x-project-1-concurrent-12-abc");
        assert_eq!(name("", 1, 0, "r"), "runner--project-1-concurrent-0-r");
    }

    proptest::proptest! {
        #[test]
        fn a_name_is_always_one_that_kubernetes_takes(token in ".{0,20}", id: u64, slot: usize, random in "[a-z0-9]{8}") {
            let name = name(&token, id, slot, &random);
            let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            assert!(name.len() <= 63 && name.bytes().all(is_inner) && name.ends_with(&random), "{name}");
        }
    }

    #[test]
    fn a_name_is_never_too_long_and_keeps_its_random_part() {
        let long = name("abcdefgh", u64::MAX, usize::MAX, "random12");
        assert!(long.len() <= 63 && long.ends_with("-random12"), "{long}");
        let cut = name("abcdefgh", u64::MAX, 0, &"r".repeat(14));
        assert!(cut.len() <= 63 && !cut.contains("--"), "{cut}");
    }
}
