//! The volumes of a pod, as folders of this machine.

use std::{
    collections::BTreeMap,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::api::core::v1::{Container, Pod, ProjectedVolumeSource, Secret};
use kube::{Api, Client, ResourceExt};

/// How long until a Secret that is not there is looked for again.
const PAUSE: Duration = Duration::from_millis(300);

/// What a container sees of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) source: PathBuf,
    /// Below the root of the container, without a slash before it.
    pub(super) target: String,
    pub(super) is_read_only: bool,
}

/// The volumes of a pod, by name.
#[derive(Debug)]
pub(super) struct Volumes(BTreeMap<String, PathBuf>);

impl Volumes {
    /// Makes them below `folder`. What they need of the cluster is waited for without an end, as a kubelet does.
    pub(super) async fn make(client: &Client, pod: &Pod, folder: &Path) -> io::Result<Self> {
        let mut made = BTreeMap::new();
        for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
            let place = folder.join(&volume.name);
            tokio::fs::create_dir_all(&place).await?;
            std::fs::set_permissions(&place, PermissionsExt::from_mode(0o777))?;
            if let Some(projected) = &volume.projected {
                fill(client, &pod.namespace().unwrap_or_default(), projected, &place).await?;
            } else if volume.empty_dir.is_none() {
                return Err(io::Error::other(format!(
                    "the volume {} is of a kind that is not played",
                    volume.name
                )));
            }
            made.insert(volume.name.clone(), place);
        }
        Ok(Self(made))
    }

    /// What one container sees of them.
    pub(super) fn mounts(&self, container: &Container) -> Vec<Mount> {
        let mounts = container.volume_mounts.iter().flatten();
        let of = |mount: &k8s_openapi::api::core::v1::VolumeMount| {
            let source = self.0.get(&mount.name)?.clone();
            let target = mount.mount_path.trim_matches('/').to_owned();
            Some(Mount { source, target, is_read_only: mount.read_only == Some(true) })
        };
        mounts.filter_map(of).collect()
    }
}

async fn fill(
    client: &Client,
    namespace: &str,
    projected: &ProjectedVolumeSource,
    place: &Path,
) -> io::Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let sources = projected.sources.iter().flatten().filter_map(|source| source.secret.as_ref());
    for source in sources {
        let secret = loop {
            match secrets.get(&source.name).await {
                Ok(secret) => break secret,
                // A kubelet says FailedMount, and tries again.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        for (key, value) in secret.data.unwrap_or_default() {
            tokio::fs::write(place.join(key), value.0).await?;
        }
    }
    Ok(())
}
