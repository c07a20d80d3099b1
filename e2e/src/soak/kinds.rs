//! The jobs that are run, and what each of them must print.

use std::time::Duration;

use runner_core::{
    JobSpec,
    job::{Image, Service, Step},
};

use super::Random;
use crate::{BUSYBOX, job, source::Plan};

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ends almost at once.
    Quick,
    /// Prints lines for some seconds.
    Talking,
    /// Prints lines and ends with this code.
    Failing(i32),
    /// Has an `after_script`.
    After,
    /// Prints about 1 MiB at once.
    Loud,
    /// Prints nothing for some seconds.
    Silent,
    /// Talks to a service.
    Serviced,
    /// Is canceled by its source while it talks.
    Canceled,
    /// Is canceled by its source while it talks, and then nobody waits for its `after_script`.
    Aborted,
    /// Uploads an artifact.
    Uploading,
    /// Its pod is deleted from outside.
    Deleted {
        /// How long after the job was accepted.
        after: Duration,
        /// How many seconds the pod has to end.
        grace: u32,
    },
}

/// One job of the soak.
#[derive(Debug, Clone)]
pub struct SoakJob {
    /// Its id.
    pub id: String,
    /// What it does.
    pub kind: Kind,
    /// How its source treats it.
    pub plan: Plan,
    lines: u64,
    /// Milliseconds between two lines, or of silence.
    pause: u64,
    address: String,
}

/// What a job of the kind [`Kind::Uploading`] makes.
pub(super) const ARTIFACT: &str = "made.bin";

/// Milliseconds of silence from which on a script leaves a mark each second.
const LONG: u64 = 20_000;

/// That mark.
pub(super) const ALIVE: &str = "alive";

/// The command of the service of the kind [`Kind::Serviced`].
pub(super) const SERVE: &str =
    "mkdir -p /tmp/www; echo up > /tmp/www/index.html; exec httpd -f -p 8099 -h /tmp/www";

const PADDING: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

impl SoakJob {
    /// The job of that number. Its scripts leave their marks at `address`.
    pub fn new(random: &mut Random, number: u64, address: &str) -> Self {
        let kind = match random.below(20) {
            0..4 => Kind::Quick,
            4..8 => Kind::Talking,
            8..10 => Kind::Failing(1 + i32::try_from(random.below(9)).unwrap_or(0)),
            10..12 => Kind::After,
            12..14 => Kind::Loud,
            14..16 => Kind::Silent,
            16 => Kind::Serviced,
            17 => Kind::Canceled,
            _ => Kind::Deleted {
                after: Duration::from_millis(random.below(4000)),
                grace: random.pick(&[0, 1, 5]),
            },
        };
        Self::of_kind(random, number, kind, address)
    }

    /// The job of that number, of a kind that GitLab alone has to do with or of the others.
    pub fn of_gitlab(random: &mut Random, number: u64, address: &str) -> Self {
        match random.below(10) {
            0 => Self::of_kind(random, number, Kind::Aborted, address),
            1 => Self::of_kind(random, number, Kind::Uploading, address),
            2 => Self::of_kind(random, number, Kind::Canceled, address),
            3 => Self { pause: LONG, ..Self::of_kind(random, number, Kind::Silent, address) },
            _ => Self::new(random, number, address),
        }
    }

    /// The job of that number, of a kind that needs no network of its own; one in twelve is silent for longer than a
    /// source may hear nothing of it.
    pub fn of_simulated(random: &mut Random, number: u64, address: &str) -> Self {
        if random.below(12) == 0 {
            return Self { pause: 18_000, ..Self::of_kind(random, number, Kind::Silent, address) };
        }
        match Self::of_gitlab(random, number, address) {
            job if job.kind == Kind::Serviced || job.pause >= LONG => {
                Self::of_kind(random, number, Kind::Talking, address)
            }
            job => job,
        }
    }

    /// A job of that kind.
    pub fn of_kind(random: &mut Random, number: u64, kind: Kind, address: &str) -> Self {
        let cancel_after =
            matches!(kind, Kind::Canceled | Kind::Aborted).then(|| Duration::from_millis(random.below(6000)));
        let back_after = Duration::from_millis(random.pick(&[0, 0, 3000]));
        let plan = Plan { cancel_after, back_after, forgets: random.below(2) == 0 };
        let (lines, pause) = match kind {
            Kind::Quick => (3, 0),
            Kind::Loud => (20 << 10, 0),
            Kind::Silent => (0, 500 + random.below(4000)),
            Kind::Canceled | Kind::Aborted => (100, 100),
            _ => (10 + random.below(40), 100),
        };
        let address = address.to_owned();
        Self { id: format!("{number}"), kind, plan, lines, pause, address }
    }

    /// The job as it is handed out.
    pub fn spec(&self) -> JobSpec {
        let Self { id, lines, pause, .. } = self;
        let mut script = vec![self.mark("begin")];
        if self.kind == Kind::Serviced {
            script.push("until wget -q -O /dev/null http://backend:8099/; do sleep 0.2; done".into());
        }
        script.push(match (*pause, self.kind) {
            (0, _) if *lines > 0 => {
                format!("seq 0 {} | sed 's/.*/line & of {id}: {PADDING}/'", lines - 1)
            }
            (pause, Kind::Silent) if pause >= LONG => {
                let (seconds, mark) = (pause / 1000, self.mark(ALIVE));
                format!("i=0; while [ $i -lt {seconds} ]; do {mark}; i=$((i+1)); sleep 1; done")
            }
            (pause, Kind::Silent) => format!("sleep {}.{:03}", pause / 1000, pause % 1000),
            (pause, _) => format!(
                "i=0; while [ $i -lt {lines} ]; do echo \"line $i of {id}: {PADDING}\"; i=$((i+1)); sleep 0.{pause:03}; done"
            ),
        });
        if self.kind == Kind::Uploading {
            script.push(format!("head -c 300000 /dev/urandom > {ARTIFACT}"));
        }
        script.push(self.mark("end"));
        if let Kind::Failing(code) = self.kind {
            script.push(format!("exit {code}"));
        }
        let mut spec = job(id, "");
        spec.steps = vec![Step::script(script)];
        if self.has_after_script() {
            let line = format!("a=after; echo \"$a {id}\"");
            spec.steps.push(Step::after_script(vec![self.mark("after"), line]));
        }
        if self.kind == Kind::Serviced {
            spec.services.push(backend());
        }
        spec
    }

    /// Whether it has an `after_script`.
    pub fn has_after_script(&self) -> bool {
        matches!(self.kind, Kind::After | Kind::Canceled | Kind::Aborted)
    }

    /// What its script prints in one piece, if nobody ends it.
    pub fn text(&self) -> String {
        (0..self.lines).map(|number| self.text_of(number)).collect()
    }

    /// How long its script takes, about, if nobody ends it.
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.lines.max(1) * self.pause)
    }

    /// How many lines its script prints.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// One of these lines.
    pub fn text_of(&self, number: u64) -> String {
        format!("line {number} of {}: {PADDING}\n", self.id)
    }

    /// The numbers of the lines of its script that a log holds, in order, with the bytes of each.
    pub fn lines_in(&self, log: &str) -> Vec<(u64, usize)> {
        let end = format!(" of {}: {PADDING}", self.id);
        let number = |line: &str| line.strip_suffix(&end)?.strip_prefix("line ")?.parse().ok();
        log.lines().filter_map(|line| Some((number(line)?, line.len() + 1))).collect()
    }

    /// Leaves a mark. A try that got no answer may have left it, so that all tries have one number.
    fn mark(&self, mark: &str) -> String {
        let Self { id, address, .. } = self;
        format!(
            "number=$(cat /proc/sys/kernel/random/uuid); \
             until timeout 5 wget -q -O /dev/null http://{address}/{id}/{mark}/$number; do sleep 0.2; done"
        )
    }
}

fn backend() -> Service {
    Service {
        image: Image { name: BUSYBOX.into(), ..Image::default() },
        aliases: vec!["backend".into()],
        command: Some(vec!["sh".into(), "-c".into(), SERVE.into()]),
        ..Service::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_script_are_found_in_its_log_and_not_in_the_echo_of_it() {
        let mut random = Random::new(1);
        let job = SoakJob::of_kind(&mut random, 7, Kind::Quick, "host:1");
        let echo = job.spec().steps[0].script.join("\n$ ");
        let log = format!("$ {echo}\n{}line 9 of 8: {PADDING}\n", job.text());
        assert_eq!(job.lines_in(&log).iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
