//! Which pull policies are tried, in which order.

use runner_core::job::PullPolicy;

use super::KubernetesConfig;

/// Pull policies in the order of the attempts; empty: one attempt, with the policy of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullPolicies(pub Vec<PullPolicy>);

impl PullPolicies {
    /// The policies of an image: those that the job asks for, else those of the config, as far as they are allowed.
    ///
    /// # Errors
    /// None of them is allowed, or the config names one that does not exist; the text says which.
    pub(crate) fn of(config: &KubernetesConfig, asked: &[PullPolicy]) -> Result<Self, String> {
        let own = read(&config.pull_policy.0)?;
        let explicit = read(&config.allowed_pull_policies)?;
        let (wanted, who) = if asked.is_empty() {
            (own.clone(), "`pull_policy` of the runner")
        } else {
            (asked.to_vec(), "the job")
        };
        let allowed = if explicit.is_empty() { own } else { explicit };
        if wanted.is_empty() || allowed.is_empty() {
            return Ok(Self(if wanted.is_empty() { allowed } else { wanted }));
        }
        let policies: Vec<_> = wanted.iter().copied().filter(|policy| allowed.contains(policy)).collect();
        if policies.is_empty() {
            let (wanted, allowed) = (list(&wanted), list(&allowed));
            return Err(format!("{who} asks for pull policy {wanted}, and the runner allows only {allowed}"));
        }
        Ok(Self(policies))
    }

    /// How many attempts there are.
    pub fn attempts(&self) -> usize {
        self.0.len().max(1)
    }

    /// The policy of an attempt, which counts from 1; after the last one, the last one. `None`: the cluster's.
    pub fn at(&self, attempt: u32) -> Option<PullPolicy> {
        let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        self.0.get(index).or(self.0.last()).copied()
    }
}

fn read(names: &[String]) -> Result<Vec<PullPolicy>, String> {
    let read = |name: &String| match name.as_str() {
        "always" => Ok(PullPolicy::Always),
        "if-not-present" => Ok(PullPolicy::IfNotPresent),
        "never" => Ok(PullPolicy::Never),
        _ => Err(format!("there is no pull policy {name:?}")),
    };
    names.iter().map(read).collect()
}

fn list(policies: &[PullPolicy]) -> String {
    let name = |policy: &PullPolicy| match policy {
        PullPolicy::Always => "always",
        PullPolicy::IfNotPresent => "if-not-present",
        PullPolicy::Never => "never",
    };
    policies.iter().map(name).collect::<Vec<_>>().join(", ")
}
