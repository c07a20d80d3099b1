//! The `config.toml` of a runner, with the keys of GitLab Runner.
//!
//! [`parse`] reads a text and finds all mistakes at once, [`Parsed::resolve`] makes a [`Config`] of it and of its
//! [`Surroundings`] (variables of the environment, a folder of secrets); neither touches anything else. [`ConfigFile`]
//! does both with a file, [`Reload`] does so again whenever the file or a secret changes, and [`edit`] changes a file
//! without touching its comments.
//!
//! ```
//! let text = "concurrent = 4\n[[runners]]\nurl = \"https://gitlab.example\"\ntoken = \"$TOKEN\"\n[runners.kubernetes]\n";
//! let surroundings = runner_config::Surroundings::new([("TOKEN".into(), "glrt-x".into())]);
//! let config = runner_config::parse("config.toml", text).resolve(&surroundings)?;
//! assert_eq!((config.concurrent, config.runners[0].token.expose()), (4, "glrt-x"));
//!
//! let wrong = "concurent = 4\n[[runners]]\nurl = 5\n";
//! let mistakes = runner_config::parse("config.toml", wrong).resolve(&surroundings).unwrap_err();
//! assert_eq!(mistakes.found.len(), 4); // A slip, a wrong value, no token, and no executor.
//! assert_eq!(mistakes.found[0].help.as_deref(), Some("did you mean `concurrent`?"));
//! # Ok::<(), runner_config::Mistakes>(())
//! ```

pub mod config;
pub mod diff;
mod document;
pub mod edit;
mod expansion;
mod file;
mod key;
mod mistake;
mod parse;
mod reference;
pub mod registration;
pub mod reload;
mod resolve;
mod surroundings;
pub mod system_id;
mod table;

pub use config::{
    CacheConfig, CacheStore, Config, ExecutorConfig, OnShutdown, Report, RunnerConfig, S3Config,
    S3Credentials, S3Encryption, TokenSource,
};
pub use diff::Diff;
pub use file::{ConfigFile, LoadError};
pub use key::Key;
pub use mistake::{Mistake, Mistakes};
pub use parse::{Parsed, parse};
pub use reference::reference;
pub use reload::{Reload, ReloadEvent};
pub use surroundings::{SECRETS, Surroundings};
pub use system_id::{Machine, SystemId};
pub use table::{FLAGS, Flag, Section, sections};

/// A config with all defaults and a remark on every key, to begin with.
pub const DEFAULT: &str = include_str!("runner.default.toml");
