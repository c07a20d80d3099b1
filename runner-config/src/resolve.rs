//! The second step: from what stands in a file to what it means, with variables of the environment and secrets.

use std::time::Duration;

use runner_core::{Finding, Secret, finding::Severity};
use runner_k8s::config::{DurationText, Remark, RemarkClass};

use crate::{
    config::{Config, ExecutorConfig, LogFormat, LogLevel, OnShutdown},
    expansion::{EnvSecret, EnvText},
    key::Keys,
    mistake::Mistakes,
    parse::{Notebook, Parsed, nearest},
    surroundings::Surroundings,
    table::GlobalKeys,
};

mod cache;
mod runner;

impl Parsed {
    /// What the config means. Only [`Surroundings`] are looked at: no file, no network.
    ///
    /// # Errors
    /// All mistakes at once: those of the text, values that cannot be, variables that are not set, and what is missing.
    /// What is merely refused is no mistake: it is a fatal finding.
    pub fn resolve(&self, surroundings: &Surroundings) -> Result<Config, Mistakes> {
        self.resolve_for(Purpose::Run, surroundings)
    }

    /// The same for somebody who asks no server for jobs: what it takes to reach one may be missing, variables need not be
    /// set (they are nothing then), and the store of caches is left out.
    ///
    /// # Errors
    /// As for [`resolve`](Self::resolve), but for these.
    pub fn resolve_offline(&self, surroundings: &Surroundings) -> Result<Config, Mistakes> {
        self.resolve_for(Purpose::Look, surroundings)
    }

    fn resolve_for(&self, purpose: Purpose, surroundings: &Surroundings) -> Result<Config, Mistakes> {
        // Where nothing could be read, everything else would be told as missing.
        if self.is_unreadable()
            && let Some(mistakes) = self.mistakes()
        {
            return Err(mistakes);
        }
        let notebook = self.notebook.clone();
        let mut resolver = Resolver { purpose, surroundings, notebook, findings: Vec::new() };
        let config = resolver.config(&self.keys);
        match resolver.notebook.finish() {
            Some(mistakes) => Err(mistakes),
            None => Ok(config),
        }
    }
}

/// What a config is resolved for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Jobs of a server are run.
    Run,
    /// Somebody looks at it, or runs jobs from elsewhere.
    Look,
}

struct Resolver<'a> {
    purpose: Purpose,
    surroundings: &'a Surroundings,
    notebook: Notebook,
    findings: Vec<Finding>,
}

impl Resolver<'_> {
    fn config(&mut self, keys: &GlobalKeys) -> Config {
        let runners = keys.runners.iter().enumerate();
        let runners =
            runners.filter_map(|(index, runner)| self.runner(index, runner, &keys.labels)).collect();
        let config = Config {
            concurrent: usize::try_from(keys.concurrent).unwrap_or(usize::MAX),
            check_interval: seconds(keys.check_interval, 3),
            listen_address: self.optional_text("listen_address", &keys.listen_address),
            log_level: self.log_level(&keys.log_level),
            log_format: self.log_format(&keys.log_format),
            connection_max_age: self
                .duration("connection_max_age", keys.connection_max_age.as_ref())
                .unwrap_or(Duration::from_mins(15)),
            shutdown_timeout: seconds(keys.shutdown_timeout, 30),
            shutdown: self.on_shutdown(&keys.shutdown),
            runners,
            findings: Vec::new(),
        };
        let has_shell = config.runners.iter().any(|runner| runner.executor == ExecutorConfig::Shell);
        self.global_remarks(keys, has_shell);
        if config.concurrent == 0 {
            let line = self.notebook.line("concurrent");
            self.say(line, Severity::Warning, "no job is taken: `concurrent` is 0", "set it to 1 or more");
        }
        if keys.runners.is_empty() {
            let text = "there is no [[runners]], so no job is asked for";
            self.say(1, Severity::Warning, text, "add one with `runner register`");
        }
        Config { findings: std::mem::take(&mut self.findings), ..config }
    }

    fn global_remarks(&mut self, keys: &GlobalKeys, has_shell: bool) {
        let mut remarks = keys.remarks("");
        let has_user = keys.user.as_ref().is_some_and(|user| !user.trim().is_empty());
        for remark in remarks.iter_mut().filter(|remark| remark.key == "user" && has_user && has_shell) {
            // Jobs would have more rights than they are meant to have.
            remark.class = RemarkClass::Refused;
        }
        self.remarks("", remarks);
        let server = &keys.session_server;
        if server.listen_address.as_ref().is_some_and(|address| !address.is_empty()) {
            self.remarks("", server.remarks("session_server"));
        }
        self.remarks("", keys.experimental.remarks("experimental"));
    }

    fn log_level(&mut self, text: &str) -> LogLevel {
        match text {
            "panic" | "fatal" | "error" => LogLevel::Error,
            "warning" | "warn" => LogLevel::Warning,
            "" | "info" => LogLevel::Info,
            "debug" => LogLevel::Debug,
            _ => {
                self.none_of("log_level", text, &["panic", "fatal", "error", "warning", "info", "debug"]);
                LogLevel::Info
            }
        }
    }

    fn on_shutdown(&mut self, name: &str) -> OnShutdown {
        match name {
            "" | "leave" => OnShutdown::Leave,
            "abort" => OnShutdown::Abort,
            other => {
                self.none_of("shutdown", other, &["leave", "abort"]);
                OnShutdown::Leave
            }
        }
    }

    fn log_format(&mut self, text: &str) -> LogFormat {
        match text {
            "" | "runner" | "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            _ => {
                self.none_of("log_format", text, &["runner", "text", "json"]);
                LogFormat::Text
            }
        }
    }

    /// A text with its variables replaced; empty where one is not set, which is a mistake.
    fn text(&mut self, path: &str, text: &EnvText) -> String {
        let surroundings = self.surroundings;
        let expanded = text.expand(|name| surroundings.set_variable(name));
        self.unset(path, expanded.unset);
        expanded.value.trim().to_owned()
    }

    fn optional_text(&mut self, path: &str, text: &EnvText) -> Option<String> {
        Some(self.text(path, text)).filter(|text| !text.is_empty())
    }

    fn secret(&mut self, path: &str, secret: &EnvSecret) -> Secret {
        let surroundings = self.surroundings;
        let expanded = secret.expand(|name| surroundings.set_variable(name));
        self.unset(path, expanded.unset);
        expanded.value
    }

    fn unset(&mut self, path: &str, names: impl IntoIterator<Item = String>) {
        let names = names.into_iter().filter(|_| self.purpose == Purpose::Run);
        for name in names.collect::<Vec<_>>() {
            let help = format!("set {name} in the environment of the runner, or write the value itself");
            self.notebook.wrong(path, format!("the variable {name} is not set"), Some(help));
        }
    }

    /// A duration; `None` where there is none, and where it is nothing.
    fn duration(&mut self, path: &str, text: Option<&DurationText>) -> Option<Duration> {
        let text = text.filter(|text| !text.as_str().trim().is_empty())?;
        let Some(duration) = text.parse() else {
            let message = format!("{:?} is no duration", text.as_str());
            self.notebook.wrong(path, message, Some("write it as 90s, 5m or 1h30m".into()));
            return None;
        };
        Some(duration).filter(|duration| !duration.is_zero())
    }

    fn none_of(&mut self, path: &str, value: &str, known: &[&str]) {
        let help = match nearest(value, known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("it is one of {}", known.join(", ")),
        };
        self.notebook.wrong(path, format!("there is no {value:?}"), Some(help));
    }

    /// Says what there is to say about keys. Their paths are completed by `prefix`.
    fn remarks(&mut self, prefix: &str, remarks: Vec<Remark>) {
        for remark in remarks {
            let path = crate::key::join(prefix, &remark.key);
            match remark.class {
                RemarkClass::Invalid => self.notebook.wrong(&path, remark.text, None),
                RemarkClass::NoEffect => {
                    let text = format!("`{path}` has no effect: {}", remark.text);
                    self.say(self.notebook.line(&path), Severity::Note, &text, "");
                }
                RemarkClass::Refused => {
                    let text = format!("`{path}` is refused: {}", remark.text);
                    self.say(self.notebook.line(&path), Severity::Fatal, &text, "take it out");
                }
            }
        }
    }

    fn say(&mut self, line: usize, severity: Severity, text: &str, mend: &str) {
        let message = format!("{}:{line}: {text}", self.notebook.file);
        self.findings.push(Finding { severity, message, mend: mend.to_owned() });
    }
}

/// Seconds; 0 means `default`.
fn seconds(seconds: u32, default: u64) -> Duration {
    Duration::from_secs(if seconds == 0 { default } else { u64::from(seconds) })
}

#[cfg(test)]
mod tests;
