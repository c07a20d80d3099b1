//! How long the server heard nothing of a job though somebody was there to speak of it.

use std::time::Duration;

use tokio::time::Instant;

/// How long a manager may take from its start until it speaks of the jobs that it finds.
const ADOPTION: Duration = Duration::from_secs(3);

/// From when until when.
pub(super) type Span = (Instant, Instant);

/// The times within `all` at which somebody speaks: each manager a while after its start, and the agent in its time.
pub(super) fn speaking(all: Span, lives: &[(Instant, Option<Instant>)], agent: Option<Span>) -> Vec<Span> {
    let managers = lives.iter().map(|(begin, end)| (*begin + ADOPTION, end.unwrap_or(all.1)));
    let mut spans: Vec<Span> = managers
        .chain(agent)
        .map(|(begin, end)| (begin.max(all.0), end.min(all.1)))
        .filter(|(begin, end)| begin < end)
        .collect();
    spans.sort();
    let mut joined: Vec<Span> = Vec::new();
    for (begin, end) in spans {
        match joined.last_mut() {
            Some(last) if begin <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((begin, end)),
        }
    }
    joined
}

/// The longest time without a word, within one span of speaking.
pub(super) fn longest(speaking: &[Span], words: &[Instant]) -> Duration {
    let within = |(begin, end): &Span| {
        let heard = words.iter().copied().filter(|at| at > begin && at < end);
        let mut times: Vec<Instant> = [*begin, *end].into_iter().chain(heard).collect();
        times.sort();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    };
    speaking.iter().map(within).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_there_can_be_silent() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let all = (at(0), at(100));
        // One manager until 20, nobody until 60, and then another one to the end.
        let lives = [(at(0), Some(at(20))), (at(57), None)];
        let spans = speaking(all, &lives, None);
        assert_eq!(spans, [(at(3), at(20)), (at(60), at(100))]);
        assert_eq!(longest(&spans, &[at(5), at(18), at(70), at(90)]), Duration::from_secs(20));
        // The agent speaks while no manager is there.
        let spans = speaking(all, &lives, Some((at(15), at(65))));
        assert_eq!(spans, [(at(3), at(100))]);
        assert_eq!(longest(&spans, &[at(5), at(18), at(70), at(90)]), Duration::from_secs(52));
    }
}
