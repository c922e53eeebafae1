/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Error numbers on the wire. Positive ones are oVirt VDSM's where VDSM has
 * one, so that an engine written for it understands us; negative ones are
 * JSON-RPC 2.0's own.
 */
#ifndef DRAY_BASE_CODES_H
#define DRAY_BASE_CODES_H

/* number, name on the wire, errno that travels with it */
#define ERR_CODES(X)                                                           \
    X(ERR_PARSE, -32700, "ParseError", EBADMSG)                                \
    X(ERR_REQUEST, -32600, "InvalidRequest", EINVAL)                           \
    X(ERR_METHOD, -32601, "MethodNotFound", ENOSYS)                            \
    X(ERR_PARAMS, -32602, "InvalidParams", EINVAL)                             \
    X(ERR_INTERNAL, -32603, "InternalError", EIO)                              \
    X(ERR_NO_VM, 1, "noVM", ENOENT)                                            \
    X(ERR_NO_DISK, 13, "imageErr", ENOENT)                                     \
    X(ERR_NOT_RESPONDING, 19, "nonresp", ETIMEDOUT)                            \
    X(ERR_NOT_READY, 40, "unavail", EAGAIN)                                    \
    X(ERR_CHANGE_DISK, 41, "changeDisk", EIO)                                  \
    X(ERR_NO_LEASES, 44, "noimpl", EOPNOTSUPP)                                 \
    X(ERR_SNAPSHOT, 48, "snapshotErr", EIO)                                    \
    X(ERR_MERGE, 52, "mergeErr", EIO)                                          \
    X(ERR_REPLICA, 55, "replicaErr", EIO)                                      \
    X(ERR_TRANSIENT, 59, "transientErr", EOPNOTSUPP)                           \
    X(ERR_NO_JOB, 66, "NoSuchJob", ENOENT)                                     \
    X(ERR_JOB_NOT_DONE, 68, "JobNotDone", EBUSY)                               \
    X(ERR_JOB_EXISTS, 69, "JobExists", EEXIST)                                 \
    X(ERR_UNSUPPORTED, 75, "unsupportedOperation", EOPNOTSUPP)                 \
    X(ERR_TOO_SMALL, 79, "destVolumeTooSmall", EINVAL)                         \
    X(ERR_JOB_NOT_ACTIVE, 84, "JobNotActive", EINVAL)                          \
    X(ERR_NO_REPLICATION, 88, "ReplicationNotInProgress", ENOENT)              \
    X(ERR_PARAMETER, 91, "InvalidParameter", EINVAL)                           \
    X(ERR_GENERAL, 100, "GeneralException", EIO)                               \
    X(ERR_ACCESS, 101, "AccessDenied", EACCES)                                 \
    X(ERR_OBSTACLES, 102, "Obstacles", EINVAL)                                 \
    X(ERR_DISK_BUSY, 103, "DiskBusy", EBUSY)                                   \
    X(ERR_STORAGE, 200, "StorageException", EIO)                               \
    X(ERR_NO_VOLUME, 201, "VolumeDoesNotExist", ENOENT)                        \
    X(ERR_VOLUME_FORMAT, 202, "IncorrectFormat", EINVAL)                       \
    X(ERR_VOLUME_BUSY, 203, "VolumeIsBusy", EBUSY)                             \
    X(ERR_VOLUME_CHILDREN, 204, "VolumeImageHasChildren", EBUSY)               \
    X(ERR_VOLUME_CREATE, 205, "VolumeCreationError", EIO)                      \
    X(ERR_VOLUME_EXTEND, 206, "VolumeExtendingError", EIO)                     \
    X(ERR_METADATA_READ, 207, "VolumeMetadataReadError", EIO)                  \
    X(ERR_METADATA_WRITE, 208, "VolumeMetadataWriteError", EIO)                \
    X(ERR_VOLUME_ACCESS, 209, "VolumeAccessError", EIO)                        \
    X(ERR_VOLUME_EXISTS, 212, "VolumeAlreadyExists", EEXIST)                   \
    X(ERR_VOLUME_NOT_WRITABLE, 213, "VolumeNonWritable", EPERM)                \
    X(ERR_VOLUME_DELETE, 222, "CannotDeleteVolume", EIO)                       \
    X(ERR_VOLUME_SHARED, 223, "CannotDeleteSharedVolume", EBUSY)               \
    X(ERR_SNAPSHOT_ILLEGAL, 226, "createIllegalVolumeSnapshot", EINVAL)        \
    X(ERR_VOLUME_ILLEGAL, 227, "prepareIllegalVolume", EINVAL)                 \
    X(ERR_VOLUME_ALLOCATION, 231, "IncorrectType", EINVAL)                     \
    X(ERR_VOLUME_RESIZE, 232, "VolumeResizeValueError", EINVAL)                \
    X(ERR_VOLUME_UPDATE, 235, "InvalidVolumeUpdate", EINVAL)                   \
    X(ERR_MOVE_IMAGE, 253, "MoveImageError", EIO)                              \
    X(ERR_IMAGE_PATH, 254, "ImagePathError", EIO)                              \
    X(ERR_IMAGE_DELETE, 256, "ImageDeleteError", EIO)                          \
    X(ERR_SOURCE_IMAGE, 259, "SourceImageActionError", EIO)                    \
    X(ERR_DESTINATION_IMAGE, 260, "DestImageActionError", EIO)                 \
    X(ERR_COPY_IMAGE, 261, "CopyImageError", EIO)                              \
    X(ERR_IMAGE_CHAIN, 262, "ImageIsNotLegalChain", EINVAL)                    \
    X(ERR_NO_IMAGE, 268, "ImageDoesNotExistInSD", ENOENT)                      \
    X(ERR_DOMAIN_ACTION, 350, "StorageDomainActionError", EIO)                 \
    X(ERR_DOMAIN_CREATE, 351, "StorageDomainCreationError", EIO)               \
    X(ERR_DOMAIN_ATTACHED, 380, "StorageDomainAlreadyAttached", EBUSY)         \
    X(ERR_NO_DOMAIN, 358, "StorageDomainDoesNotExist", ENOENT)                 \
    X(ERR_DOMAIN_TYPE, 372, "StorageDomainTypeError", EINVAL)                  \
    X(ERR_DOMAIN_CLASS, 386, "StorageDomainClassError", EINVAL)                \
    X(ERR_NO_SPACE, 397, "NoSpaceLeftOnDomain", ENOSPC)                        \
    X(ERR_MOUNT, 477, "MountError", EIO)                                       \
    X(ERR_IMAGE_VERIFICATION, 484, "ImageVerificationError", EIO)              \
    X(ERR_VG_SIZE, 504, "VolumeGroupSizeError", EINVAL)                        \
    X(ERR_ACQUIRE_LOCK, 651, "AcquireLockFailure", EBUSY)                      \
    X(ERR_RELEASE_LOCK, 660, "ReleaseLockFailure", EIO)                        \
    X(ERR_ACQUIRE_HOST_ID, 661, "AcquireHostIdFailure", EIO)                   \
    X(ERR_RELEASE_HOST_ID, 662, "ReleaseHostIdFailure", EBUSY)                 \
    X(ERR_LOCK_INIT, 701, "ClusterLockInitError", EIO)                         \
    X(ERR_LVB, 703, "SanlockLVBError", EIO)                                    \
    X(ERR_METADATA_INVALID, 751, "InvalidMetadata", EBADMSG)                   \
    X(ERR_METADATA_VALIDATION, 753, "MetaDataValidationError", EBADMSG)        \
    X(ERR_METADATA_OVERFLOW, 756, "MetadataOverflowError", EOVERFLOW)          \
    X(ERR_TIMEOUT, 851, "ResourceTimeout", ETIMEDOUT)                          \
    X(ERR_GENERATION, 911, "GenerationMismatch", EINVAL)                       \
    X(ERR_JOB_STATUS, 912, "JobStatusMismatch", EINVAL)                        \
    X(ERR_NOT_IN_CHAIN, 920, "VolumeIsNotInChain", EINVAL)                     \
    X(ERR_WRONG_PARENT, 921, "WrongParentVolume", EINVAL)                      \
    X(ERR_MANAGED_NONE, 925, "ManagedVolumeNotSupported", EOPNOTSUPP)          \
    X(ERR_MANAGED_HELPER, 926, "ManagedVolumeHelperFailed", EIO)               \
    X(ERR_MANAGED_ATTACHED, 927, "ManagedVolumeAlreadyAttached", EEXIST)       \
    X(ERR_MANAGED_DEVICE, 928, "ManagedVolumeUnsupportedDevice", ENODEV)       \
    X(ERR_MANAGED_CONNECTION, 929, "ManagedVolumeConnectionMismatch", EINVAL)  \
    X(ERR_NO_SUCH_LEASE, 936, "NoSuchLease", ENOENT)                           \
    X(ERR_VALUE, 1000, "InvalidParameterException", EINVAL)                    \
    X(ERR_DISK_REFRESH, 1640, "DriveRefreshError", EIO)                        \
    X(ERR_NOT_IMPLEMENTED, 2000, "NotImplemented", ENOSYS)                     \
    X(ERR_UNSUPPORTED_STORAGE, 2009, "UnsupportedOperation", EOPNOTSUPP)

enum err_code {
#define ERR_CODE_ENUM(symbol, number, name, errnum) symbol = (number),
    ERR_CODES(ERR_CODE_ENUM)
#undef ERR_CODE_ENUM
};

/* The wire name, "GeneralException" for a number that is not in the table. */
const char *err_code_name(enum err_code code);

/* The negative errno that goes with a code. */
int err_code_errno(enum err_code code);

#endif
