//! `runner list`: the runners of a config.

use std::path::Path;

use runner_config::{Config, RunnerConfig, Surroundings};
use runner_core::Severity;

use crate::{
    cli::{Color, Output, accounts::List},
    columns::columns,
    exit_code::ExitStatus,
    fault::{Fault, WrongFile},
    short_token::short_token,
    stdio::Stdio,
    wire,
};

/// Shows the runners of a config.
pub(crate) fn show(options: &List) -> ExitStatus {
    let variables = wire::variables();
    let path = options.config.path(&variables, wire::is_root());
    let surroundings = Surroundings::new(variables).with_files(Path::new(runner_config::SECRETS));
    let stdio = Stdio::new(Output::Human, Color::Auto, wire::taste());
    match list(&path, &surroundings) {
        Ok((text, refused)) => {
            stdio.text(&text);
            Stdio::error(&refused);
            ExitStatus::Success
        }
        Err(fault) => {
            Stdio::error(&fault.text(stdio.error_palette().is_on()));
            fault.status
        }
    }
}

/// The runners of the config at `path`, and what of it is refused, as text. What is missing to reach a server is no
/// mistake here.
fn list(path: &Path, surroundings: &Surroundings) -> Result<(String, String), Fault> {
    let text = fs_err::read_to_string(path).map_err(Fault::wrong_use)?;
    let parsed = runner_config::parse(&path.display().to_string(), &text);
    let config = parsed.resolve_offline(surroundings);
    let config = config.map_err(|mistakes| Fault::wrong_use(WrongFile::from(mistakes)))?;
    let refused = config.findings.iter().filter(|finding| finding.severity == Severity::Fatal);
    let refused =
        refused.flat_map(|finding| [finding.message.as_str(), "\n  help: ", &finding.mend, "\n"]).collect();
    Ok((table(&config), refused))
}

fn table(config: &Config) -> String {
    let row = |runner: &RunnerConfig| {
        let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        [
            or_dash(&runner.name),
            runner.executor.name().to_owned(),
            or_dash(&shown(runner.token.expose())),
            or_dash(&runner.url),
        ]
    };
    let header = ["NAME", "EXECUTOR", "TOKEN", "URL"].map(ToOwned::to_owned);
    let rows: Vec<_> = [header].into_iter().chain(config.runners.iter().map(row)).collect();
    columns(&rows)
}

/// What may be shown of a token: that there is one, where it is too short for more.
fn shown(token: &str) -> String {
    match short_token(token) {
        short if short.is_empty() && !token.is_empty() => "…".to_owned(),
        short => short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(executor: &str) -> String {
        format!("[[runners]]\nexecutor = \"{executor}\"\n")
    }

    #[test]
    fn runners_are_listed_without_their_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let text = "[[runners]]\nname = \"build\"\nurl = \"https://g.example/\"\ntoken = \"glrt-abcdefghijklmnopqrst\"\n[runners.kubernetes]\n\
                    [[runners]]\nexecutor = \"shell\"\ntoken = \"$TOKEN\"\nurl = \"https://g.example\"\n";
        fs_err::write(&path, text).unwrap();
        let surroundings = Surroundings::new([("TOKEN".into(), "short".into())]);
        let (text, refused) = list(&path, &surroundings).unwrap();
        assert_eq!(refused, "");
        insta::assert_snapshot!(text, @"
        NAME   EXECUTOR    TOKEN      URL
        build  kubernetes  abcdefghi  https://g.example
        -      shell       …          https://g.example
        ");
        fs_err::write(&path, text_of("docker")).unwrap();
        let (text, refused) = list(&path, &surroundings).unwrap();
        assert!(
            text.lines().count() == 1 && refused.contains("the executor \"docker\" is refused"),
            "{refused}"
        );
        fs_err::write(&path, "concurent = 1").unwrap();
        assert!(list(&path, &surroundings).unwrap_err().text(false).contains("did you mean `concurrent`?"));
    }
}
