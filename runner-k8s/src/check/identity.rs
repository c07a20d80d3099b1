//! Who the runner is to the API server, which is also the first thing that is asked of it.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{Api, Client, api::PostParams};
use runner_core::Finding;
use tokio::time::timeout;

use super::{PATIENCE, chain, fatal};

/// Why nothing can be asked of the API server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There is no answer, or none of an API server.
    Away(String),
    /// It does not know who asks.
    Unauthorized,
}

/// The name of the user that asks. `None` where the server does not tell.
pub(super) async fn of(client: &Client) -> Result<Option<String>, Trouble> {
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let (parameters, review) = (PostParams::default(), SelfSubjectReview::default());
    match timeout(PATIENCE, reviews.create(&parameters, &review)).await {
        Ok(Ok(review)) => {
            Ok(review.status.and_then(|status| status.user_info).and_then(|user| user.username))
        }
        Ok(Err(kube::Error::Api(status))) if status.code == 401 => Err(Trouble::Unauthorized),
        // Servers before 1.28 have no such review.
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 403..=405) => Ok(None),
        Ok(Err(error)) => Err(Trouble::Away(chain(&error))),
        Err(_) => Err(Trouble::Away(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

impl Trouble {
    /// What is said of it, with the address of the server where that is known.
    pub(super) fn finding(&self, address: Option<&str>) -> Finding {
        let server =
            address.map_or_else(|| "the API server".to_owned(), |url| format!("the API server {url}"));
        match self {
            Self::Away(reason) => fatal(
                format!("{server} cannot be asked: {reason}"),
                "check that it runs and can be reached from here, and that KUBECONFIG, or `host` and `ca_file` in \
                 [runners.kubernetes], name it",
            ),
            Self::Unauthorized => fatal(
                format!("{server} does not accept the credentials of the runner"),
                "renew those in the file of KUBECONFIG, or `bearer_token` or `cert_file` and `key_file` in \
                 [runners.kubernetes]; in a pod, give it a service account that exists and mount its token",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_answer_is_named() {
        let finding = Trouble::Away("connection refused".into()).finding(Some("https://k8s.example:6443/"));
        assert_eq!(
            finding.message,
            "the API server https://k8s.example:6443/ cannot be asked: connection refused"
        );
        assert!(finding.mend.contains("KUBECONFIG"));
        let finding = Trouble::Unauthorized.finding(None);
        assert_eq!(finding.message, "the API server does not accept the credentials of the runner");
    }
}
