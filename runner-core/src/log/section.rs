//! The marks of sections, which GitLab's pages fold.

use std::time::{SystemTime, UNIX_EPOCH};

/// The mark at the beginning of a section; the section's header follows in the same line.
pub(super) fn start(name: &str, collapsed: bool, now: SystemTime) -> String {
    let options = if collapsed { "[collapsed=true]" } else { "" };
    format!("section_start:{}:{}{options}\r\u{1b}[0K", unix_time(now), clean(name))
}

/// The mark at the end of a section.
pub(super) fn end(name: &str, now: SystemTime) -> String {
    format!("section_end:{}:{}\r\u{1b}[0K", unix_time(now), clean(name))
}

fn unix_time(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// GitLab knows only these letters in a section's name.
fn clean(name: &str) -> String {
    let is_known = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-');
    if name.is_empty() {
        return "_".into();
    }
    name.chars().map(|letter| if is_known(letter) { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn marks_are_as_gitlab_reads_them() {
        let now = UNIX_EPOCH + Duration::from_secs(1_767_323_045);
        assert_eq!(start("get_sources", false, now), "section_start:1767323045:get_sources\r\u{1b}[0K");
        assert_eq!(
            start("a b:ü\r\n[x]", true, now),
            "section_start:1767323045:a_b_____x_[collapsed=true]\r\u{1b}[0K"
        );
        assert_eq!(end("", now), "section_end:1767323045:_\r\u{1b}[0K");
    }
}
