//! Variables in the values of variables, replaced as GitLab's server does before a runner gets them.
//!
//! A runner replaces variables once and no deeper, so whatever refers to something that refers to something else must
//! be settled before. What the server leaves to the runner is left here too: references to raw variables and to files,
//! to what is not defined, and `$$`.

use std::collections::HashMap;

use runner_core::job::{Variable, Variables};

/// A value that would become longer than this is left as it is.
const LONGEST: usize = 1024 * 1024;

/// Replaces variables in the values of those that count, at any depth. Where they refer to each other in a circle, all
/// are left as they are, as the server does.
pub(crate) fn expand_all(variables: Variables) -> Variables {
    let Variables(mut variables) = variables;
    let Ok(order) = order(&variables) else { return Variables(variables) };
    let last = last_of_each(&variables);
    let mut done: HashMap<String, String> = HashMap::new();
    for index in order {
        let Some(variable) = variables.get(index) else { continue };
        if last.get(&variable.key) != Some(&index) || variable.file || variable.raw {
            continue;
        }
        let value = replaced(&variable.value, &done);
        done.insert(variable.key.clone(), value.unwrap_or_else(|| variable.value.clone()));
    }
    for (key, index) in last {
        if let (Some(variable), Some(value)) = (variables.get_mut(index), done.remove(&key)) {
            variable.value = value;
        }
    }
    Variables(variables)
}

/// The names of variables that refer to each other in a circle, the first one again at the end, if there are any.
/// `overrides` count more than `variables`.
pub(crate) fn circle(variables: &Variables, overrides: &Variables) -> Option<Vec<String>> {
    let all: Vec<&Variable> = variables.0.iter().chain(&overrides.0).collect();
    let last: HashMap<&str, &Variable> =
        all.iter().map(|variable| (variable.key.as_str(), *variable)).collect();
    // Only what refers to something can be in a circle, and most variables do not.
    let is_part = |variable: &Variable| {
        let counts = last.get(variable.key.as_str()).is_some_and(|last| std::ptr::eq(*last, variable));
        counts && !variable.raw && variable.value.contains('$')
    };
    let referring: Vec<Variable> =
        all.iter().copied().filter(|variable| is_part(variable)).cloned().collect();
    let circle = order(&referring).err()?;
    let names = circle.iter().chain(circle.first()).filter_map(|index| referring.get(*index));
    Some(names.map(|variable| variable.key.clone()).collect())
}

/// The value with all that is `known` in it; `None` where that is too long.
fn replaced(text: &str, known: &HashMap<String, String>) -> Option<String> {
    let mut result = String::with_capacity(text.len());
    for piece in pieces(text) {
        let name = piece.name.and_then(|name| known.get(name));
        result.push_str(name.map_or(piece.written, String::as_str));
        if result.len() > LONGEST {
            return None;
        }
    }
    Some(result)
}

fn last_of_each(variables: &[Variable]) -> HashMap<String, usize> {
    variables.iter().enumerate().map(|(index, variable)| (variable.key.clone(), index)).collect()
}

/// An order in which each variable comes after those that it refers to; a circle where there is one.
fn order(variables: &[Variable]) -> Result<Vec<usize>, Vec<usize>> {
    let last = last_of_each(variables);
    let references: Vec<Vec<usize>> = variables
        .iter()
        .enumerate()
        .map(|(index, variable)| {
            let names = if variable.raw { Vec::new() } else { pieces(&variable.value) };
            let names = names.into_iter().filter_map(|piece| piece.name);
            names.filter_map(|name| last.get(name).copied()).filter(|other| *other != index).collect()
        })
        .collect();
    let mut order = Vec::with_capacity(variables.len());
    // 0: not seen, 1: its references are being looked at, 2: done.
    let mut states = vec![0_u8; variables.len()];
    for start in 0..variables.len() {
        let mut path = vec![(start, 0)];
        while let Some((index, next)) = path.pop() {
            let Some(state) = states.get_mut(index) else { continue };
            if *state == 2 {
                continue;
            }
            *state = 1;
            let Some(other) = references.get(index).and_then(|references| references.get(next)) else {
                *state = 2;
                order.push(index);
                continue;
            };
            path.push((index, next + 1));
            match states.get(*other) {
                Some(1) => {
                    let indices = path.iter().map(|(index, _)| *index);
                    return Err(indices.skip_while(|index| index != other).collect());
                }
                Some(0) => path.push((*other, 0)),
                _ => {}
            }
        }
    }
    Ok(order)
}

/// A part of a value: a reference to a variable, or a text between two.
struct Piece<'a> {
    written: &'a str,
    name: Option<&'a str>,
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        pieces.push(Piece { written: before, name: None });
        let (length, name) = reference(from);
        let (written, after) = from.split_at(length);
        pieces.push(Piece { written, name });
        rest = after;
    }
    pieces.push(Piece { written: rest, name: None });
    pieces
}

/// How many bytes of `text`, which begins with a dollar sign, belong together, and the name in them.
fn reference(text: &str) -> (usize, Option<&str>) {
    let after = text.strip_prefix('$').unwrap_or_default();
    if after.starts_with('$') {
        return (2, None);
    }
    let braced = after.strip_prefix('{');
    let named = braced.unwrap_or(after);
    let end = named.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    let (name, rest) = named.split_at(end.unwrap_or(named.len()));
    let is_name = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    match (is_name, braced.is_some()) {
        (true, false) => (1 + name.len(), Some(name)),
        (true, true) if rest.starts_with('}') => (3 + name.len(), Some(name)),
        _ => (1, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expected: &[&str]) {
        let variables = variables.iter().map(|(key, value)| {
            key.strip_prefix("raw ")
                .map_or_else(|| Variable::new(*key, *value), |key| Variable::raw(key, *value))
        });
        let expanded = expand_all(Variables(variables.collect()));
        let values: Vec<&str> = expanded.0.iter().map(|variable| variable.value.as_str()).collect();
        assert_eq!(values, expected);
    }

    #[test]
    fn values_are_expanded_at_any_depth_and_in_any_order() {
        check(&[("A", "$B-x"), ("B", "${C}y"), ("C", "1")], &["1y-x", "1y", "1"]);
        check(&[("A", "old"), ("B", "$A"), ("A", "new")], &["old", "new", "new"]);
    }

    #[test]
    fn what_the_server_leaves_to_the_runner_is_left() {
        check(&[("A", "$B ${B}"), ("raw B", "$C"), ("C", "1")], &["$B ${B}", "$C", "1"]);
        check(
            &[("A", "$UNKNOWN ${UNKNOWN} $$B 5$ ${ ${B-1}"), ("B", "1")],
            &["$UNKNOWN ${UNKNOWN} $$B 5$ ${ ${B-1}", "1"],
        );
        check(&[("PATH", "$PATH:/bin")], &["$PATH:/bin"]);
    }

    #[test]
    fn a_circle_leaves_all_as_they_are() {
        check(&[("A", "$B"), ("B", "$A"), ("C", "$D"), ("D", "1")], &["$B", "$A", "$D", "1"]);
    }

    #[test]
    fn a_circle_is_named_unless_something_that_counts_more_breaks_it() {
        let of = |pairs: &[(&str, &str)]| {
            Variables(pairs.iter().map(|(key, value)| Variable::new(*key, *value)).collect())
        };
        let variables = of(&[("X", "$A"), ("A", "$B"), ("B", "-$C"), ("C", "${A}"), ("PATH", "$PATH:/bin")]);
        let names = circle(&variables, &Variables::default()).unwrap_or_default();
        assert_eq!(names, ["A", "B", "C", "A"]);
        assert_eq!(circle(&variables, &of(&[("B", "plain")])), None);
        assert_eq!(circle(&of(&[("PATH", "$PATH:/bin")]), &Variables::default()), None);
    }

    #[test]
    fn a_long_chain_and_a_value_that_doubles_end_well() {
        let chain: Vec<Variable> =
            (0..50_000).map(|index| Variable::new(format!("V{index}"), format!("$V{}", index + 1))).collect();
        assert_eq!(expand_all(Variables(chain)).0[0].value, "$V50000");
        let doubling: Vec<Variable> = (0..60)
            .map(|index| Variable::new(format!("V{index}"), format!("$V{0}$V{0}x", index + 1)))
            .collect();
        let longest = expand_all(Variables(doubling)).0.iter().map(|variable| variable.value.len()).max();
        assert!(longest <= Some(2 * LONGEST));
    }
}
