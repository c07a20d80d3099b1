//! The keys of `[runners.cache]` and of the stores in it.

use crate::{
    expansion::{EnvSecret, EnvText},
    key::keys,
};

/// Why roles are not asked for more than once.
const NO_ROLE_TUNING: &str = "credentials of a role are asked for once, and renewed before they end";

/// What to use in the place of other stores.
pub(crate) const NO_GCS: &str = "use its S3 API: `Type = \"s3\"`, `ServerAddress = \"storage.googleapis.com\"`, and an HMAC key as AccessKey and SecretKey";
pub(crate) const NO_AZURE: &str =
    "it has no S3 API: use a store that speaks S3, or a gateway such as versitygw in front of it";

keys! {
    /// Where caches of jobs are kept.
    pub(crate) struct CacheKeys {
        /// `s3`; `directory`, only here and not in GitLab Runner, for the executor `shell`. Default: no store that runners share. `gcs` and `azure` are refused: Google's store is used by its S3 API.
        works "Type" kind: [EnvText];
        /// What the names of all entries begin with; of `directory`, where it is.
        works "Path" path: [EnvText];
        /// Whether runners find each other's entries. Default false.
        works "Shared" is_shared: [bool];
        /// The largest entry that is saved, in bytes as they are stored; 0: no limit. Default 0.
        works "MaxUploadedArchiveSize" max_uploaded_archive_size: [u64];
        /// How entries are stored: `packs`, of which only what changed is sent, or `zip`, the archives of GitLab Runner under its own keys, so that both can share them. Only here, not in GitLab Runner. Default `packs`.
        works "format" format: [String];
        /// Whether a bucket that is not there is made at the start. Only here, not in GitLab Runner. Default false.
        works "create_bucket" is_bucket_made: [bool];
        /// A store that speaks S3.
        works "s3" s3: [Option<S3Keys>];
        /// Google Cloud Storage.
        works "gcs" gcs: [Option<GcsKeys>];
        /// Azure Blob Storage.
        works "azure" azure: [Option<AzureKeys>];
    }
}

keys! {
    /// A store that speaks S3.
    pub(crate) struct S3Keys {
        /// `host` or `host:port`. Default: the address of Amazon S3 in the region of the bucket.
        works "ServerAddress" server_address: [EnvText];
        /// The access key. Default: `CACHE_S3_ACCESS_KEY`, else `accesskey` in the folder of secrets.
        works "AccessKey" access_key: [EnvSecret];
        /// The secret key. Default: `CACHE_S3_SECRET_KEY`, else `secretkey` in the folder of secrets.
        works "SecretKey" secret_key: [EnvSecret];
        /// The token of temporary keys. Default: `CACHE_S3_SESSION_TOKEN`.
        works "SessionToken" session_token: [EnvSecret];
        /// The bucket. Default: `CACHE_S3_BUCKET_NAME`.
        works "BucketName" bucket_name: [EnvText];
        /// The region of the bucket. Default: the one that the store names.
        works "BucketLocation" bucket_location: [EnvText];
        /// Whether the store is spoken to without TLS. Default false.
        works "Insecure" is_insecure: [bool];
        /// `access-key` or `iam`. Default: keys where there are any, else the role of the machine.
        works "AuthenticationType" authentication_type: [EnvText];
        /// `S3`, `KMS` or `DSSE-KMS`: how the store encrypts. Default: as the bucket says.
        works "ServerSideEncryption" server_side_encryption: [EnvText];
        /// The key for `KMS`.
        works "ServerSideEncryptionKeyID" server_side_encryption_key_id: [EnvText];
        /// Whether Amazon's addresses for both IPv4 and IPv6 are used. Default true.
        works "DualStack" dual_stack: [bool] = true;
        /// Whether the bucket stands in the path and not in the host. Default: in the path where `ServerAddress` is another one than Amazon's.
        works "PathStyle" path_style: [Option<bool>];
        /// Whether Amazon's transfer acceleration is used. Default false.
        works "Accelerate" accelerate: [bool];
        /// The role that uploads and downloads.
        works "RoleARN" role_arn: [EnvText];
        /// The role that uploads, if it is another one.
        works "UploadRoleARN" upload_role_arn: [EnvText];
        /// How many requests for credentials of a role there are at once.
        no_effect(NO_ROLE_TUNING) "AssumeRoleMaxConcurrency" assume_role_max_concurrency: [Option<i64>];
        /// Whether credentials of a role are asked for again each time.
        no_effect(NO_ROLE_TUNING) "DisableAssumeRoleCredentialsCaching" disable_assume_role_credentials_caching: [Option<bool>];
    }
}

keys! {
    /// Google Cloud Storage, which is used by its S3 API: these keys have no effect.
    pub(crate) struct GcsKeys {
        /// The account.
        no_effect(NO_GCS) "AccessID" access_id: [Option<EnvSecret>];
        /// The private key of the account, in PEM.
        no_effect(NO_GCS) "PrivateKey" private_key: [Option<EnvSecret>];
        /// A file with both, as Google gives it.
        no_effect(NO_GCS) "CredentialsFile" credentials_file: [Option<EnvText>];
        /// The bucket.
        no_effect(NO_GCS) "BucketName" bucket_name: [Option<EnvText>];
        /// The domain of the cloud.
        no_effect(NO_GCS) "UniverseDomain" universe_domain: [Option<EnvText>];
    }
}

keys! {
    /// Azure Blob Storage, which is not supported: these keys have no effect.
    pub(crate) struct AzureKeys {
        /// The account.
        no_effect(NO_AZURE) "AccountName" account_name: [Option<EnvText>];
        /// The key of the account.
        no_effect(NO_AZURE) "AccountKey" account_key: [Option<EnvSecret>];
        /// The container.
        no_effect(NO_AZURE) "ContainerName" container_name: [Option<EnvText>];
        /// The domain of the store.
        no_effect(NO_AZURE) "StorageDomain" storage_domain: [Option<EnvText>];
    }
}
