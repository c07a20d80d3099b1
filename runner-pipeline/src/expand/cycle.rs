//! Cycles in `needs`: jobs that wait for each other would never start.

use std::collections::HashMap;

use super::{instance::Instance, needs::Links};
use crate::{diagnostic::Mistakes, yaml::Span};

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done,
}

/// Notes each cycle, at the need that closes it.
pub(super) fn check(links: &[Links], instances: &[Instance<'_>], firsts: &[usize], check: &Mistakes<'_>) {
    let edges: Vec<HashMap<usize, Span>> = links.iter().map(|links| edges(links, instances)).collect();
    let name = |group: usize| {
        firsts
            .get(group)
            .and_then(|first| instances.get(*first))
            .map_or("", |instance| instance.job.name.as_str())
    };
    let mut states = vec![State::New; edges.len()];
    for start in 0..edges.len() {
        // A path from `start`, each job with the needs that are not looked at yet.
        let mut path: Vec<(usize, Vec<(usize, Span)>)> = Vec::new();
        enter(start, &edges, &mut states, &mut path);
        while let Some((group, open)) = path.last_mut() {
            let group = *group;
            let Some((next, span)) = open.pop() else {
                path.pop();
                set(&mut states, group, State::Done);
                continue;
            };
            if states.get(next) == Some(&State::Open) {
                let way: Vec<&str> = path
                    .iter()
                    .map(|(group, _)| *group)
                    .skip_while(|group| *group != next)
                    .chain([next])
                    .map(name)
                    .collect();
                check.error(span, format!("`{}` needs itself: {}", name(next), shown(&way)));
            } else {
                enter(next, &edges, &mut states, &mut path);
            }
        }
    }
}

/// The way as text; of a long one its beginning and its end.
fn shown(way: &[&str]) -> String {
    const LONGEST: usize = 12;
    match way {
        [first @ .., last] if way.len() > LONGEST => {
            let first: Vec<&str> = first.iter().take(LONGEST / 2).copied().collect();
            format!("{} → … ({} more) → {last}", first.join(" → "), way.len() - first.len() - 1)
        }
        _ => way.join(" → "),
    }
}

fn enter(
    group: usize,
    edges: &[HashMap<usize, Span>],
    states: &mut [State],
    path: &mut Vec<(usize, Vec<(usize, Span)>)>,
) {
    if states.get(group) != Some(&State::New) {
        return;
    }
    set(states, group, State::Open);
    let mut open: Vec<(usize, Span)> =
        edges.get(group).into_iter().flatten().map(|(next, span)| (*next, *span)).collect();
    open.sort_by_key(|(_, span)| std::cmp::Reverse(*span));
    path.push((group, open));
}

fn set(states: &mut [State], group: usize, state: State) {
    if let Some(old) = states.get_mut(group) {
        *old = state;
    }
}

/// The jobs of the file that a job needs, each with the place of one need for it.
fn edges(links: &Links, instances: &[Instance<'_>]) -> HashMap<usize, Span> {
    links
        .needs
        .iter()
        .flatten()
        .filter_map(|link| instances.get(link.instance).map(|instance| (instance.group, link.span)))
        .collect()
}
