//! The keys of `[runners.cache]` and of the stores in it.

use crate::{
    expansion::{EnvSecret, EnvText},
    key::keys,
};

/// Why roles are not asked for more than once.
const NO_ROLE_TUNING: &str = "credentials of a role are asked for once, and renewed before they end";

keys! {
    /// Where caches of jobs are kept.
    pub(crate) struct CacheKeys {
        /// `s3`, `gcs` or `azure`. Default: no store that runners share.
        works "Type" kind: [EnvText];
        /// What the names of all entries begin with.
        works "Path" path: [EnvText];
        /// Whether runners find each other's entries. Default false.
        works "Shared" is_shared: [bool];
        /// The largest archive that is uploaded, in bytes; 0: no limit. Default 0.
        works "MaxUploadedArchiveSize" max_uploaded_archive_size: [u64];
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
        /// `host` or `host:port`. Default: the address of Amazon S3.
        works "ServerAddress" server_address: [EnvText];
        /// The access key. Default: `CACHE_S3_ACCESS_KEY`, else `accesskey` in the folder of secrets.
        works "AccessKey" access_key: [EnvSecret];
        /// The secret key. Default: `CACHE_S3_SECRET_KEY`, else `secretkey` in the folder of secrets.
        works "SecretKey" secret_key: [EnvSecret];
        /// The token of temporary keys. Default: `CACHE_S3_SESSION_TOKEN`.
        works "SessionToken" session_token: [EnvSecret];
        /// The bucket. Default: `CACHE_S3_BUCKET_NAME`.
        works "BucketName" bucket_name: [EnvText];
        /// The region of the bucket.
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
        /// Whether the bucket stands in the path and not in the host. Default: in the path where `ServerAddress` is set.
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
    /// Google Cloud Storage.
    pub(crate) struct GcsKeys {
        /// The account. Default: `CACHE_GCS_ACCESS_ID`, else `gcs-access-id` in the folder of secrets.
        works "AccessID" access_id: [EnvSecret];
        /// The private key of the account, in PEM. Default: `CACHE_GCS_PRIVATE_KEY`, else `gcs-private-key` in the folder of secrets.
        works "PrivateKey" private_key: [EnvSecret];
        /// A file with both, as Google gives it. Default: `GOOGLE_APPLICATION_CREDENTIALS`, else `gcs-application-credentials-file` in the folder of secrets.
        works "CredentialsFile" credentials_file: [EnvText];
        /// The bucket. Default: `CACHE_GCS_BUCKET_NAME`.
        works "BucketName" bucket_name: [EnvText];
        /// The domain of the cloud. Default `googleapis.com`.
        works "UniverseDomain" universe_domain: [EnvText];
    }
}

keys! {
    /// Azure Blob Storage.
    pub(crate) struct AzureKeys {
        /// The account. Default: `CACHE_AZURE_ACCOUNT_NAME`, else `azure-account-name` in the folder of secrets.
        works "AccountName" account_name: [EnvText];
        /// The key of the account. Default: `CACHE_AZURE_ACCOUNT_KEY`, else `azure-account-key` in the folder of secrets; else the identity of the machine.
        works "AccountKey" account_key: [EnvSecret];
        /// The container. Default: `CACHE_AZURE_CONTAINER_NAME`.
        works "ContainerName" container_name: [EnvText];
        /// The domain of the store. Default `blob.core.windows.net`.
        works "StorageDomain" storage_domain: [EnvText];
    }
}
