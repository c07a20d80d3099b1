//! `[runners.kubernetes.volumes]`: the kinds of volumes, and what they have in common.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        CSIVolumeSource, ConfigMapVolumeSource, EmptyDirVolumeSource, HostPathVolumeSource, KeyToPath,
        NFSVolumeSource, PersistentVolumeClaimVolumeSource, SecretVolumeSource, Volume,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use serde::Deserialize;

/// The volumes of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Volumes {
    /// Directories of the node.
    pub host_path: Vec<HostPath>,
    /// Persistent volume claims.
    pub pvc: Vec<Pvc>,
    /// Config maps.
    pub config_map: Vec<FileMap>,
    /// Secrets.
    pub secret: Vec<FileMap>,
    /// Empty directories that live as long as the pod.
    pub empty_dir: Vec<EmptyDir>,
    /// Volumes of a CSI driver.
    pub csi: Vec<Csi>,
    /// Exports of an NFS server.
    pub nfs: Vec<Nfs>,
}

/// What all kinds of volumes have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mount<'config> {
    /// The key below `volumes`.
    pub(crate) kind: &'static str,
    /// The place in the list of that key.
    pub(crate) index: usize,
    pub(crate) name: &'config str,
    pub(crate) path: &'config str,
    pub(crate) sub_path: &'config str,
    pub(crate) read_only: bool,
    pub(crate) propagation: Option<&'config str>,
}

macro_rules! volume {
    ($(#[$about:meta])* $name:ident { $( $(#[$meta:meta])* $field:ident : $kind:ty, )* } $propagation:expr) => {
        $(#[$about])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// The name of the volume.
            pub name: String,
            /// Where it is mounted. Variables of the job are expanded.
            pub mount_path: String,
            /// Which part of it is mounted; empty: all. Variables of the job are expanded.
            pub sub_path: String,
            /// Whether it cannot be written.
            pub read_only: bool,
            $( $(#[$meta])* pub $field: $kind, )*
        }

        impl $name {
            fn mount(&self, kind: &'static str, index: usize) -> Mount<'_> {
                let propagation: fn(&Self) -> Option<&str> = $propagation;
                Mount {
                    kind,
                    index,
                    name: &self.name,
                    path: &self.mount_path,
                    sub_path: &self.sub_path,
                    read_only: self.read_only,
                    propagation: propagation(self),
                }
            }
        }
    };
}

volume! {
    /// A directory of the node.
    HostPath {
        /// The path on the node; empty: the mount path.
        host_path: String,
        /// `None`, `HostToContainer` or `Bidirectional`.
        mount_propagation: Option<String>,
    }
    |volume| volume.mount_propagation.as_deref()
}

volume! {
    /// A persistent volume claim of the volume's name, in which variables of the job are expanded.
    Pvc {
        /// `None`, `HostToContainer` or `Bidirectional`.
        mount_propagation: Option<String>,
    }
    |volume| volume.mount_propagation.as_deref()
}

volume! {
    /// A config map or a secret of the volume's name.
    FileMap {
        /// Keys, with the paths that they get; empty: all keys.
        items: BTreeMap<String, String>,
    }
    |_| None
}

volume! {
    /// An empty directory.
    EmptyDir {
        /// `Memory`, or empty for the node's disk.
        medium: String,
        /// The most bytes that it may hold; empty: no limit of its own.
        size_limit: String,
        /// `None`, `HostToContainer` or `Bidirectional`.
        mount_propagation: Option<String>,
    }
    |volume| volume.mount_propagation.as_deref()
}

volume! {
    /// A volume of a CSI driver.
    Csi {
        /// The driver.
        driver: String,
        /// The file system; empty: the driver's.
        fs_type: String,
        /// What the driver is told.
        volume_attributes: BTreeMap<String, String>,
    }
    |_| None
}

volume! {
    /// An export of an NFS server.
    Nfs {
        /// The server.
        server: String,
        /// The path on the server.
        path: String,
    }
    |_| None
}

impl Volumes {
    /// All mounts, kind by kind in the order of GitLab Runner.
    pub(crate) fn mounts(&self) -> Vec<Mount<'_>> {
        let mut mounts = Vec::new();
        mounts.extend(
            self.host_path.iter().enumerate().map(|(index, volume)| volume.mount("host_path", index)),
        );
        mounts.extend(self.secret.iter().enumerate().map(|(index, volume)| volume.mount("secret", index)));
        mounts.extend(self.pvc.iter().enumerate().map(|(index, volume)| volume.mount("pvc", index)));
        mounts.extend(
            self.config_map.iter().enumerate().map(|(index, volume)| volume.mount("config_map", index)),
        );
        mounts.extend(
            self.empty_dir.iter().enumerate().map(|(index, volume)| volume.mount("empty_dir", index)),
        );
        mounts.extend(self.csi.iter().enumerate().map(|(index, volume)| volume.mount("csi", index)));
        mounts.extend(self.nfs.iter().enumerate().map(|(index, volume)| volume.mount("nfs", index)));
        mounts
    }

    /// The volume of a mount, under its final name.
    pub(crate) fn volume(&self, mount: &Mount<'_>, name: String) -> Option<Volume> {
        let mut volume = Volume { name, ..Volume::default() };
        let index = mount.index;
        match mount.kind {
            "host_path" => volume.host_path = Some(self.host_path.get(index)?.source()),
            "secret" => volume.secret = Some(self.secret.get(index)?.secret()),
            "pvc" => {
                volume.persistent_volume_claim = Some(PersistentVolumeClaimVolumeSource {
                    claim_name: volume.name.clone(),
                    ..PersistentVolumeClaimVolumeSource::default()
                });
            }
            "config_map" => volume.config_map = Some(self.config_map.get(index)?.config_map()),
            "empty_dir" => volume.empty_dir = Some(self.empty_dir.get(index)?.source()),
            "csi" => volume.csi = Some(self.csi.get(index)?.source()),
            "nfs" => volume.nfs = Some(self.nfs.get(index)?.source()),
            _ => return None,
        }
        Some(volume)
    }
}

impl HostPath {
    fn source(&self) -> HostPathVolumeSource {
        let path = if self.host_path.is_empty() { &self.mount_path } else { &self.host_path };
        HostPathVolumeSource { path: path.clone(), type_: None }
    }
}

impl FileMap {
    fn items(&self) -> Option<Vec<KeyToPath>> {
        let item =
            |(key, path): (&String, &String)| KeyToPath { key: key.clone(), path: path.clone(), mode: None };
        (!self.items.is_empty()).then(|| self.items.iter().map(item).collect())
    }

    fn secret(&self) -> SecretVolumeSource {
        let secret_name = Some(self.name.clone());
        SecretVolumeSource { secret_name, items: self.items(), ..SecretVolumeSource::default() }
    }

    fn config_map(&self) -> ConfigMapVolumeSource {
        let name = self.name.clone();
        ConfigMapVolumeSource { name, items: self.items(), ..ConfigMapVolumeSource::default() }
    }
}

impl EmptyDir {
    fn source(&self) -> EmptyDirVolumeSource {
        let set = |text: &String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        EmptyDirVolumeSource { medium: set(&self.medium), size_limit: set(&self.size_limit).map(Quantity) }
    }
}

impl Csi {
    fn source(&self) -> CSIVolumeSource {
        let attributes = Some(self.volume_attributes.clone()).filter(|attributes| !attributes.is_empty());
        CSIVolumeSource {
            driver: self.driver.clone(),
            fs_type: Some(self.fs_type.clone()).filter(|kind| !kind.is_empty()),
            read_only: self.read_only.then_some(true),
            volume_attributes: attributes,
            ..CSIVolumeSource::default()
        }
    }
}

impl Nfs {
    fn source(&self) -> NFSVolumeSource {
        NFSVolumeSource {
            server: self.server.clone(),
            path: self.path.clone(),
            read_only: self.read_only.then_some(true),
        }
    }
}
