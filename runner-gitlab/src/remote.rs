//! What a stored lease holds, and the reports and artifacts that are made of it elsewhere.

use std::sync::Arc;

use runner_core::{ArtifactStore, Error, ErrorKind, JobReport, JobSpec, Result, Secret};
use serde::{Deserialize, Serialize};

use crate::{
    artifacts::GitLabArtifacts,
    client::Client,
    connection::Connection,
    report::{GitLabReport, JobKey},
};

/// The kind of a [`RemoteReport`](runner_core::RemoteReport) of a [`GitLabSource`](crate::GitLabSource).
pub const KIND: &str = "gitlab";

/// The state of a stored lease: everything but the job itself.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// Without the client's certificate and key: with these only the manager reports.
    connection: Connection,
    needs_identity: bool,
    job: JobKey,
}

/// A job, for whoever runs it without its source.
#[derive(Debug, Clone)]
pub struct RemoteJob {
    /// Where the truth about it is reported.
    pub report: Arc<dyn JobReport>,
    /// Where its artifacts go to and come from.
    pub artifacts: Arc<dyn ArtifactStore>,
}

/// What is stored of a job that `client`'s server handed out.
pub(crate) fn state(client: &Client, job: &JobSpec) -> Result<Secret> {
    let mut connection = client.connection().clone();
    let needs_identity = connection.identity.take().is_some();
    let state = State { connection, needs_identity, job: JobKey::of(job) };
    let text = serde_json::to_string(&state)
        .map_err(|cause| Error::new(ErrorKind::Internal, "store a job of GitLab").because(cause))?;
    Ok(Secret::new(text))
}

/// Makes report and artifacts of the `state` of a [`SavedLease`](runner_core::SavedLease) that a
/// [`GitLabSource`](crate::GitLabSource) gave. It asks nobody and sends nothing.
///
/// # Errors
/// [`ErrorKind::Corrupt`] where the state is of another source; [`ErrorKind::Unsupported`] where the server asks for a
/// client certificate: its key stays with the manager, which then has to carry what is reported.
pub fn remote(state: &Secret) -> Result<RemoteJob> {
    let state: State = serde_json::from_str(state.expose())
        // The cause could quote a token.
        .map_err(|_| Error::new(ErrorKind::Corrupt, "read the stored state of a job of GitLab"))?;
    if state.needs_identity {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "report to a GitLab that asks for a client certificate from elsewhere",
        ));
    }
    let client = Client::new(&state.connection)?;
    Ok(job(&client, state.job))
}

/// Whether somebody without the key of the client can report with this state.
pub(crate) fn is_for_others(state: &Secret) -> bool {
    serde_json::from_str::<State>(state.expose()).is_ok_and(|state| !state.needs_identity)
}

/// Report and artifacts of a job.
pub(crate) fn job(client: &Client, key: JobKey) -> RemoteJob {
    RemoteJob {
        artifacts: Arc::new(GitLabArtifacts::of_key(client.clone(), key.clone())),
        report: Arc::new(GitLabReport::of_key(client.clone(), key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Identity;

    fn stored(connection: &Connection) -> Secret {
        let mut job = JobSpec::new("7", "build");
        job.token = Secret::new("glcbt-7");
        state(&Client::new(connection).unwrap(), &job).unwrap()
    }

    #[test]
    fn a_stored_job_can_be_reported_elsewhere() {
        let remote = remote(&stored(&Connection::new("https://gitlab.example/sub"))).unwrap();
        let shown = format!("{remote:?}");
        assert!(shown.contains("https://gitlab.example/sub/api/v4"), "{shown}");
        assert!(!shown.contains("glcbt-7"), "{shown}");
    }

    #[test]
    fn the_key_of_a_client_is_not_stored() {
        let client = rcgen::generate_simple_self_signed(["client".into()]).unwrap();
        let (certificate, key) = (client.cert.pem(), Secret::new(client.signing_key.serialize_pem()));
        let mut connection = Connection::new("https://gitlab.example");
        connection.identity = Some(Identity { certificate, key });
        let stored = stored(&connection);
        assert!(!stored.expose().contains("PRIVATE KEY"));
        assert_eq!(remote(&stored).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn the_state_of_another_source_is_refused_without_being_quoted() {
        let error = remote(&Secret::new(r#"{"token":"hunter2"}"#)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(!error.chain().contains("hunter2"));
    }
}
