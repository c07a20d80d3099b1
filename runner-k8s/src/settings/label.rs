//! Texts of a job as parts of names and as values of labels.

/// The most letters of a name or of a label's value.
pub(crate) const MOST_LETTERS: usize = 63;

/// A text as a label of the DNS: small letters, digits and hyphens, no more than 63.
pub(crate) fn dns_label(text: &str) -> String {
    let clean = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let mut label: String = text.chars().map(clean).collect();
    label = label.trim_matches('-').to_owned();
    label.truncate(MOST_LETTERS);
    label.truncate(label.trim_end_matches('-').len());
    label
}

/// A text as the value of a label, cleaned as GitLab Runner cleans it.
pub(crate) fn label_value(text: &str) -> String {
    let is_kept = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let mut value: String = text.chars().map(|letter| if is_kept(letter) { letter } else { '_' }).collect();
    value = value.trim_matches(['-', '_', '.']).to_owned();
    value.truncate(MOST_LETTERS);
    value.truncate(value.trim_end_matches(['-', '_', '.']).len());
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_cleaned() {
        assert_eq!(label_value("feature/ä b"), "feature___b");
        assert_eq!(label_value("-.x._"), "x");
        assert_eq!(label_value(&format!("{}-b", "a".repeat(62))), "a".repeat(62));
        assert_eq!(dns_label("Ä42_x"), "42-x");
    }
}
