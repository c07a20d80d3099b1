//! What somebody may have meant by a name that does not exist.

/// The one of `candidates` that `word` is most likely a slip of; `None` where none is near.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word_length = word.chars().count();
    let allowed = match word_length {
        0..=5 => 1,
        _ => word_length / 3,
    };
    candidates
        .into_iter()
        .filter(|candidate| {
            !candidate.is_empty() && candidate.chars().count().abs_diff(word_length) <= allowed
        })
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, removed, replaced or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().flat_map(char::to_lowercase).collect();
    let right: Vec<char> = right.chars().flat_map(char::to_lowercase).collect();
    let mut before_last = vec![0; right.len() + 1];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, left_letter) in left.iter().enumerate() {
        let mut current = vec![row + 1; right.len() + 1];
        for (column, right_letter) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(left_letter != right_letter);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0
                && column > 0
                && left.get(row - 1) == Some(right_letter)
                && right.get(column - 1) == Some(left_letter);
            if swapped {
                best = best.min(before_last[column - 1] + 1);
            }
            current[column + 1] = best;
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["script", "before_script", "stage", "stages", "image"];
        assert_eq!(nearest("scirpt", known), Some("script"));
        assert_eq!(nearest("Stage", known), Some("stage"));
        assert_eq!(nearest("beforescript", known), Some("before_script"));
        assert_eq!(nearest("deploy", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("a", ["b"]), None);
    }
}
