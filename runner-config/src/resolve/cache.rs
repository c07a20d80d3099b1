//! What `[runners.cache]` means.

use runner_core::Secret;

use super::{Purpose, Resolver};
use crate::{
    config::{
        AzureConfig, CacheConfig, CacheStore, GcsConfig, GcsCredentials, S3Config, S3Credentials,
        S3Encryption,
    },
    expansion::EnvSecret,
    table::{AzureKeys, CacheKeys, GcsKeys, S3Keys},
};

impl Resolver<'_> {
    /// `None`: there is no store, or none that can be used, and why is told.
    pub(super) fn cache(&mut self, path: &str, keys: Option<&CacheKeys>) -> Option<CacheConfig> {
        let keys = keys.filter(|_| self.purpose == Purpose::Run)?;
        let at = |key: &str| format!("{path}.{key}");
        let kind = self.optional_text(&at("Type"), &keys.kind)?;
        let prefix = self.text(&at("Path"), &keys.path);
        let store = match kind.to_ascii_lowercase().as_str() {
            "s3" | "s3v2" => {
                let section = keys.s3.clone().unwrap_or_default();
                CacheStore::S3(self.s3(&at("s3"), &section)?)
            }
            "gcs" | "gcsv2" => {
                let section = keys.gcs.clone().unwrap_or_default();
                CacheStore::Gcs(self.gcs(&at("gcs"), &section)?)
            }
            "azure" => {
                let section = keys.azure.clone().unwrap_or_default();
                CacheStore::Azure(self.azure(&at("azure"), &section)?)
            }
            _ => {
                self.none_of(&at("Type"), &kind, &["s3", "gcs", "azure"]);
                return None;
            }
        };
        Some(CacheConfig {
            path: prefix,
            is_shared: keys.is_shared,
            max_uploaded_archive_size: Some(keys.max_uploaded_archive_size).filter(|size| *size > 0),
            store,
        })
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
        let credentials = self.s3_credentials(path, keys);
        let bucket = self.text_or(&at("BucketName"), &keys.bucket_name, "CACHE_S3_BUCKET_NAME");
        if bucket.is_none() {
            self.notebook.wrong(&at("BucketName"), "the cache has no `BucketName`", None);
        }
        Some(S3Config {
            path_style: keys.path_style.unwrap_or(server_address.is_some()),
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

    fn gcs(&mut self, path: &str, keys: &GcsKeys) -> Option<GcsConfig> {
        let at = |key: &str| format!("{path}.{key}");
        let bucket = self.text_or(&at("BucketName"), &keys.bucket_name, "CACHE_GCS_BUCKET_NAME");
        if bucket.is_none() {
            self.notebook.wrong(&at("BucketName"), "the cache has no `BucketName`", None);
        }
        let file = self
            .text_or(&at("CredentialsFile"), &keys.credentials_file, "GOOGLE_APPLICATION_CREDENTIALS")
            .or_else(|| self.surroundings.secret_path("gcs-application-credentials-file"));
        let access_id =
            self.secret_or(&at("AccessID"), &keys.access_id, "CACHE_GCS_ACCESS_ID", "gcs-access-id");
        let private_key =
            self.secret_or(&at("PrivateKey"), &keys.private_key, "CACHE_GCS_PRIVATE_KEY", "gcs-private-key");
        let credentials = match (file, access_id, private_key) {
            (Some(file), _, _) => GcsCredentials::File(file),
            (None, Some(access_id), Some(private_key)) => GcsCredentials::Key { access_id, private_key },
            (None, None, None) => GcsCredentials::Machine,
            (None, _, _) => {
                self.notebook.wrong(&at("AccessID"), "`AccessID` and `PrivateKey` need each other", None);
                GcsCredentials::Machine
            }
        };
        let domain = self.optional_text(&at("UniverseDomain"), &keys.universe_domain);
        Some(GcsConfig {
            bucket: bucket?,
            credentials,
            universe_domain: domain.unwrap_or_else(|| "googleapis.com".to_owned()),
        })
    }

    fn azure(&mut self, path: &str, keys: &AzureKeys) -> Option<AzureConfig> {
        let at = |key: &str| format!("{path}.{key}");
        let account = self
            .text_or(&at("AccountName"), &keys.account_name, "CACHE_AZURE_ACCOUNT_NAME")
            .or_else(|| Some(self.surroundings.secret("azure-account-name")?.expose().to_owned()));
        let container =
            self.text_or(&at("ContainerName"), &keys.container_name, "CACHE_AZURE_CONTAINER_NAME");
        for (key, value) in [("AccountName", &account), ("ContainerName", &container)] {
            if value.is_none() {
                self.notebook.wrong(&at(key), format!("the cache has no `{key}`"), None);
            }
        }
        let key = self.secret_or(
            &at("AccountKey"),
            &keys.account_key,
            "CACHE_AZURE_ACCOUNT_KEY",
            "azure-account-key",
        );
        let domain = self.optional_text(&at("StorageDomain"), &keys.storage_domain);
        Some(AzureConfig {
            account: account?,
            key,
            container: container?,
            storage_domain: domain.unwrap_or_else(|| "blob.core.windows.net".to_owned()),
        })
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
