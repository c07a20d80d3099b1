//! What `[runners.cache]` means.

use runner_core::{CacheFormat, Secret};

use super::{Purpose, Resolver};
use crate::{
    config::{CacheConfig, CacheStore, S3Config, S3Credentials, S3Encryption},
    expansion::EnvSecret,
    table::{CacheKeys, NO_AZURE, NO_GCS, S3Keys},
};

impl Resolver<'_> {
    /// `None`: there is no store, or none that can be used, and why is told. Who only looks is not told, and has none then.
    pub(super) fn cache(
        &mut self,
        path: &str,
        keys: Option<&CacheKeys>,
        is_for_pods: bool,
    ) -> Option<CacheConfig> {
        let keys = keys?;
        if self.purpose == Purpose::Run {
            return self.store(path, keys, is_for_pods);
        }
        let (surroundings, notebook) = (self.surroundings, self.notebook.clone());
        let mut trial = Resolver { purpose: Purpose::Run, surroundings, notebook, findings: Vec::new() };
        let found = trial.store(path, keys, is_for_pods);
        found.filter(|_| trial.notebook.finish().is_none())
    }

    fn store(&mut self, path: &str, keys: &CacheKeys, is_for_pods: bool) -> Option<CacheConfig> {
        let at = |key: &str| format!("{path}.{key}");
        let kind = self.optional_text(&at("Type"), &keys.kind)?;
        let prefix = self.text(&at("Path"), &keys.path);
        let format = self.cache_format(&at("format"), &keys.format);
        let refused = |why: &str| format!("`Type = {kind:?}` is not supported: {why}");
        let store = match kind.to_ascii_lowercase().as_str() {
            "s3" | "s3v2" => {
                let section = keys.s3.clone().unwrap_or_default();
                CacheStore::S3(Box::new(self.s3(&at("s3"), &section)?))
            }
            "directory" if is_for_pods => {
                let help = "the manager's directories are not there for pods: use a store that speaks S3";
                self.notebook.wrong(
                    &at("Type"),
                    "`Type = \"directory\"` is for `executor = \"shell\"`",
                    Some(help.into()),
                );
                return None;
            }
            "directory" if prefix.is_empty() => {
                self.notebook.wrong(
                    &at("Path"),
                    "`Type = \"directory\"` needs `Path`, where the directory is",
                    None,
                );
                return None;
            }
            "directory" => CacheStore::Directory(prefix.clone()),
            "gcs" | "gcsv2" => {
                self.notebook.wrong(&at("Type"), refused(NO_GCS), None);
                return None;
            }
            "azure" => {
                self.notebook.wrong(&at("Type"), refused(NO_AZURE), None);
                return None;
            }
            _ => {
                self.none_of(&at("Type"), &kind, &["s3", "directory"]);
                return None;
            }
        };
        if format == CacheFormat::Zip && matches!(store, CacheStore::Directory(_)) {
            self.notebook.wrong(
                &at("format"),
                "`format = \"zip\"` is for `Type = \"s3\"`, where GitLab Runner has its own",
                None,
            );
        }
        Some(CacheConfig {
            path: prefix,
            is_shared: keys.is_shared,
            max_uploaded_archive_size: Some(keys.max_uploaded_archive_size).filter(|size| *size > 0),
            format,
            is_bucket_made: keys.is_bucket_made,
            store,
        })
    }

    fn cache_format(&mut self, path: &str, text: &str) -> CacheFormat {
        match text {
            "" | "packs" => CacheFormat::Packs,
            "zip" => CacheFormat::Zip,
            _ => {
                self.none_of(path, text, &["packs", "zip"]);
                CacheFormat::Packs
            }
        }
    }

    fn s3(&mut self, path: &str, keys: &S3Keys) -> Option<S3Config> {
        let at = |key: &str| format!("{path}.{key}");
        let server_address = self.optional_text(&at("ServerAddress"), &keys.server_address);
        if let Some(address) = server_address.as_deref().filter(|address| address.contains("://")) {
            let (scheme, host) = address.split_once("://").unwrap_or_default();
            let insecure = if scheme == "http" { " and `Insecure = true`" } else { "" };
            let help = format!("write \"{}\"{insecure}", host.trim_end_matches('/'));
            self.notebook.wrong(
                &at("ServerAddress"),
                "it is a host and a port, without a scheme",
                Some(help),
            );
        }
        // GitLab Runner's documents write Amazon's address out.
        let is_amazon = server_address.as_deref().is_none_or(|address| address == "s3.amazonaws.com");
        let credentials = self.s3_credentials(path, keys);
        let bucket = self.text_or(&at("BucketName"), &keys.bucket_name, "CACHE_S3_BUCKET_NAME");
        if bucket.is_none() {
            self.notebook.wrong(&at("BucketName"), "the cache has no `BucketName`", None);
        }
        Some(S3Config {
            path_style: keys.path_style.unwrap_or(!is_amazon),
            server_address,
            credentials,
            bucket: bucket?,
            region: self.optional_text(&at("BucketLocation"), &keys.bucket_location),
            is_insecure: keys.is_insecure,
            encryption: self.s3_encryption(path, keys),
            dual_stack: keys.dual_stack,
            accelerate: keys.accelerate,
            role: self.optional_text(&at("RoleARN"), &keys.role_arn),
            upload_role: self.optional_text(&at("UploadRoleARN"), &keys.upload_role_arn),
        })
    }

    fn s3_credentials(&mut self, path: &str, keys: &S3Keys) -> S3Credentials {
        let at = |key: &str| format!("{path}.{key}");
        let access_key =
            self.secret_or(&at("AccessKey"), &keys.access_key, "CACHE_S3_ACCESS_KEY", "accesskey");
        let secret_key =
            self.secret_or(&at("SecretKey"), &keys.secret_key, "CACHE_S3_SECRET_KEY", "secretkey");
        let session_token =
            self.secret_or(&at("SessionToken"), &keys.session_token, "CACHE_S3_SESSION_TOKEN", "");
        let kind = self.text(&at("AuthenticationType"), &keys.authentication_type);
        if !["", "access-key", "iam"].contains(&kind.as_str()) {
            self.none_of(&at("AuthenticationType"), &kind, &["access-key", "iam"]);
        }
        match (access_key, secret_key) {
            _ if kind == "iam" => S3Credentials::Machine,
            (Some(access_key), Some(secret_key)) => S3Credentials::Keys {
                access_key,
                secret_key,
                session_token: session_token.unwrap_or_default(),
            },
            (None, None) if kind != "access-key" => S3Credentials::Machine,
            (access_key, _) => {
                let missing = if access_key.is_some() { "SecretKey" } else { "AccessKey" };
                // A variable that is not set was told already.
                let literal = if access_key.is_some() { &keys.secret_key } else { &keys.access_key };
                if literal.0.is_empty() {
                    self.notebook.wrong(&at(missing), format!("the cache has no `{missing}`"), None);
                }
                S3Credentials::Machine
            }
        }
    }

    fn s3_encryption(&mut self, path: &str, keys: &S3Keys) -> Option<S3Encryption> {
        let at = format!("{path}.ServerSideEncryption");
        let kind = self.optional_text(&at, &keys.server_side_encryption)?;
        let key_at = format!("{path}.ServerSideEncryptionKeyID");
        let key = self.text(&key_at, &keys.server_side_encryption_key_id);
        let encryption = match kind.to_ascii_uppercase().as_str() {
            "S3" | "AES256" => return Some(S3Encryption::S3),
            "KMS" | "AWS:KMS" => S3Encryption::Kms(key.clone()),
            "DSSE-KMS" | "AWS:KMS:DSSE" => S3Encryption::KmsTwice(key.clone()),
            _ => {
                self.none_of(&at, &kind, &["S3", "KMS", "DSSE-KMS"]);
                return None;
            }
        };
        if key.is_empty() {
            let message = format!("`ServerSideEncryption = {kind:?}` needs `ServerSideEncryptionKeyID`");
            self.notebook.wrong(&key_at, message, None);
        }
        Some(encryption)
    }

    /// A secret of the config, else of a variable, else of a file in the folder of secrets.
    fn secret_or(&mut self, path: &str, secret: &EnvSecret, variable: &str, file: &str) -> Option<Secret> {
        if !secret.0.is_empty() {
            return Some(self.secret(path, secret)).filter(|secret| !secret.is_empty());
        }
        let surroundings = self.surroundings;
        let from_variable = surroundings.variable(variable).map(Secret::new);
        from_variable.or_else(|| surroundings.secret(file).cloned())
    }
}
