//! What must not show in the log of a job.

use super::mask::{DEFAULT_TOKEN_PREFIXES, Masks};
use crate::JobSpec;

impl Masks {
    /// The masks of a job: its masked variables, its tokens and passwords, and what looks like a token.
    pub fn of_job(job: &JobSpec) -> Self {
        let prefixes = DEFAULT_TOKEN_PREFIXES.iter().map(|prefix| (*prefix).to_owned());
        let prefixes = prefixes.chain(job.features.token_mask_prefixes.iter().cloned());
        Self::new(values(job).into_iter().filter(|value| !value.is_empty()), prefixes)
    }
}

fn values(job: &JobSpec) -> Vec<String> {
    let mut values = vec![job.token.expose().to_owned()];
    for variable in job.variables.0.iter().filter(|variable| variable.masked) {
        values.push(variable.value.clone());
        if !variable.raw {
            values.push(job.variables.expand(&variable.value));
        }
    }
    values.extend(job.credentials.iter().map(|credential| credential.password.expose().to_owned()));
    values.extend(job.dependencies.iter().map(|dependency| dependency.token.expose().to_owned()));
    values.extend(password(&job.git.repo_url).map(str::to_owned));
    values
}

/// The password in a URL.
fn password(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, _) = authority.rsplit_once('@')?;
    Some(login.split_once(':')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Secret,
        job::{Credential, Variable},
    };

    #[test]
    fn every_secret_of_a_job_is_masked() {
        let mut job = JobSpec::new("1", "job");
        job.token = Secret::new("job-token-1");
        job.git.repo_url = "https://gitlab-ci-token:clone-token@git.example/group/project.git".into();
        job.credentials.push(Credential {
            kind: "registry".into(),
            url: "registry.example".into(),
            username: "somebody".into(),
            password: Secret::new("registry-password"),
        });
        job.variables.push(Variable::raw("HOST", "example"));
        job.variables.push(Variable { masked: true, ..Variable::new("URL", "https://$HOST/secret") });
        let text = "job-token-1 clone-token registry-password https://example/secret somebody glpat-abcdefgh git.example";
        let masked = Masks::of_job(&job).mask(text);
        assert_eq!(masked, "[MASKED] [MASKED] [MASKED] [MASKED] somebody glpat-[MASKED] git.example");
    }

    #[test]
    fn passwords_of_urls_are_found() {
        assert_eq!(password("https://user:pass@host/path@x"), Some("pass"));
        assert_eq!(password("https://user:p@ss@host"), Some("p@ss"));
        assert_eq!(password("https://user@host/a:b@c"), None);
        assert_eq!(password("/a/path"), None);
    }
}
