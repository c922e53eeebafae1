#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes docs/api.md: what rpc.discover says, the tables of the headers, and
the prose of docs/api-head.md.

    drayctl rpc rpc.discover | docs/make-api.py > docs/api.md

tests/integration/test_docs.py compares the result with docs/api.md.
"""
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
HEADERS = HERE.parent / 'include' / 'dray'
UUID = r'^[0-9a-f]{8}-'

# What a caller should expect besides what the head says of all verbs. The
# names are checked against codes.h, the verbs against the daemon's.
DOMAIN = ['StorageDomainDoesNotExist']
LEASE = DOMAIN + ['StorageDomainActionError', 'MetaDataValidationError']
IMAGE = DOMAIN + ['ImageDoesNotExistInSD']
VOLUME = IMAGE + ['VolumeDoesNotExist']
RECORDS = ['VolumeMetadataReadError', 'MetaDataValidationError']
MOVE = ['noVM', 'imageErr', 'StorageDomainDoesNotExist', 'nonresp']
DRIVE = ['noVM', 'imageErr', 'nonresp']
# an image from one domain to another
PLACES = IMAGE + [
    'SourceImageActionError', 'DestImageActionError', 'JobExists',
    'StorageDomainAlreadyAttached', 'StorageDomainClassError',
    'InvalidParameterException']
# from one end to another
ENDS = VOLUME + RECORDS + [
    'ResourceTimeout', 'JobExists', 'GenerationMismatch', 'VolumeIsBusy',
    'prepareIllegalVolume', 'VolumeNonWritable', 'VolumeAlreadyExists',
    'destVolumeTooSmall', 'WrongParentVolume', 'IncorrectFormat',
    'NoSpaceLeftOnDomain', 'nonresp', 'StorageException',
    'UnsupportedOperation', 'InvalidParameterException']
ERRORS = {
    'Host.ping': [],
    'Host.getCapabilities': [],
    'Host.getStats': [],
    'Host.getJobs': [],
    'Host.abortJobs': ['NoSuchJob', 'JobNotActive', 'unsupportedOperation'],
    'Host.deleteJobs': ['NoSuchJob', 'JobNotDone'],
    'StorageDomain.create': [
        'StorageDomainCreationError', 'StorageDomainTypeError',
        'StorageDomainClassError', 'ClusterLockInitError',
        'VolumeGroupSizeError', 'InvalidParameterException'],
    'StorageDomain.extend': DOMAIN + [
        'StorageDomainCreationError', 'StorageDomainTypeError',
        'VolumeGroupSizeError', 'StorageException',
        'InvalidParameterException'],
    'StorageDomain.audit': DOMAIN + [
        'StorageException', 'MetaDataValidationError'],
    'StorageDomain.join': DOMAIN + [
        'AcquireHostIdFailure', 'StorageDomainTypeError',
        'StorageDomainClassError', 'InvalidMetadata',
        'MetaDataValidationError', 'InvalidParameterException'],
    'StorageDomain.leave': DOMAIN + ['ReleaseHostIdFailure'],
    'StorageDomain.list': [],
    'StorageDomain.getInfo': DOMAIN,
    'StorageDomain.getStats': DOMAIN + ['StorageException'],
    'StorageDomain.getImages': DOMAIN,
    'StorageDomain.getVolumes': IMAGE,
    'Image.prepare': VOLUME + RECORDS + [
        'ImageIsNotLegalChain', 'prepareIllegalVolume', 'ImagePathError'],
    'Image.teardown': DOMAIN + ['ImagePathError'],
    'Image.delete': IMAGE + [
        'DiskBusy', 'VolumeIsBusy', 'CannotDeleteSharedVolume',
        'ImageDeleteError', 'UnsupportedOperation'],
    'Image.deleteVolumes': VOLUME + [
        'DiskBusy', 'VolumeIsBusy', 'VolumeImageHasChildren',
        'CannotDeleteSharedVolume', 'UnsupportedOperation'],
    'Image.getVolumes': IMAGE,
    'Image.cloneStructure': PLACES,
    'Image.syncData': PLACES + [
        'nonresp', 'prepareIllegalVolume', 'NotImplemented'],
    'Image.copy': PLACES + [
        'nonresp', 'prepareIllegalVolume', 'CopyImageError',
        'NoSpaceLeftOnDomain'],
    'Image.move': PLACES + [
        'nonresp', 'prepareIllegalVolume', 'MoveImageError',
        'NoSpaceLeftOnDomain', 'UnsupportedOperation'],
    'SDM.copy_data': ENDS,
    'SDM.move_data': ENDS + ['VolumeImageHasChildren'],
    'SDM.update_volume': VOLUME + RECORDS + [
        'ResourceTimeout', 'JobExists', 'GenerationMismatch', 'VolumeIsBusy',
        'InvalidVolumeUpdate', 'nonresp'],
    'ManagedVolume.attach_volume': [
        'DiskBusy', 'ManagedVolumeNotSupported', 'ManagedVolumeHelperFailed',
        'ManagedVolumeAlreadyAttached', 'ManagedVolumeUnsupportedDevice',
        'ManagedVolumeConnectionMismatch'],
    'ManagedVolume.detach_volume': [
        'DiskBusy', 'VolumeIsBusy', 'nonresp', 'ManagedVolumeHelperFailed'],
    'ManagedVolume.volumes_info': [],
    'Image.reconcileVolumeChain': VOLUME + RECORDS + [
        'DiskBusy', 'VolumeIsBusy', 'ImageIsNotLegalChain'],
    'Volume.create': VOLUME + RECORDS + [
        'DiskBusy', 'VolumeAlreadyExists', 'VolumeCreationError',
        'VolumeImageHasChildren', 'createIllegalVolumeSnapshot',
        'IncorrectFormat', 'IncorrectType', 'InvalidParameterException',
        'UnsupportedOperation'],
    'Volume.delete': VOLUME + [
        'DiskBusy', 'VolumeIsBusy', 'VolumeImageHasChildren',
        'CannotDeleteSharedVolume', 'CannotDeleteVolume',
        'UnsupportedOperation'],
    'Volume.getInfo': VOLUME + RECORDS,
    'Volume.getSize': VOLUME + RECORDS,
    'Volume.getQemuImageInfo': VOLUME + RECORDS,
    'Volume.measure': VOLUME + RECORDS + ['ImageIsNotLegalChain'],
    'Volume.extendSize': VOLUME + RECORDS + [
        'DiskBusy', 'VolumeIsBusy', 'VolumeExtendingError',
        'VolumeResizeValueError', 'IncorrectFormat', 'NoSpaceLeftOnDomain'],
    'Volume.setLegality': VOLUME + RECORDS + ['DiskBusy', 'VolumeIsBusy'],
    'Lease.create': LEASE + [
        'AcquireLockFailure', 'ClusterLockInitError', 'NoSpaceLeftOnDomain',
        'SanlockLVBError', 'UnsupportedOperation'],
    'Lease.delete': LEASE + ['AcquireLockFailure'],
    'Lease.info': LEASE + ['NoSuchLease'],
    'Lease.status': LEASE + ['NoSuchLease', 'SanlockLVBError'],
    'Lease.fence': LEASE + [
        'NoSuchLease', 'AcquireLockFailure', 'JobStatusMismatch',
        'GenerationMismatch', 'SanlockLVBError', 'UnsupportedOperation'],
    'Lease.list': LEASE,
    'Lease.rebuild': LEASE + ['ClusterLockInitError'],
    'Lease.rebuild_leases': LEASE + ['ClusterLockInitError'],
    'VM.list': ['nonresp'],
    'VM.getDiskWatermarks': ['noVM', 'nonresp'],
    'VM.getDisks': ['noVM', 'nonresp'],
    'VM.refreshDisk': DRIVE + ['DriveRefreshError'],
    'VM.refresh_disk': DRIVE + ['DriveRefreshError'],
    'VM.snapshot': [
        'noVM', 'nonresp', 'snapshotErr', 'JobExists', 'InvalidParameter',
        'UnsupportedOperation'],
    'VM.diskReplicateStart': DRIVE + [
        'replicaErr', 'transientErr', 'JobExists', 'ResourceTimeout'],
    'VM.diskReplicateFinish': DRIVE + [
        'ReplicationNotInProgress', 'unavail', 'prepareIllegalVolume',
        'changeDisk', 'replicaErr', 'ResourceTimeout'],
    'VM.merge': DRIVE + ['mergeErr', 'destVolumeTooSmall', 'JobExists'],
    'Disk.plan': MOVE,
    'Disk.migrate': MOVE + ['Obstacles', 'JobExists', 'DiskBusy'],
    'VM.planMigrate': ['noVM', 'nonresp', 'InvalidParameterException'],
    'VM.migrate': ['noVM', 'nonresp', 'InvalidParameterException',
                   'Obstacles', 'JobExists', 'DiskBusy'],
    'Peer.check': ['nonresp'],
    'Peer.prepare': ['nonresp', 'JobExists', 'DiskBusy',
                     'InvalidParameterException', 'NoSpaceLeftOnDomain'],
    'Peer.layer': VOLUME + ['NoSuchJob', 'unavail', 'InvalidParameterException',
                           'prepareIllegalVolume', 'NoSpaceLeftOnDomain'],
    'Peer.fill': VOLUME + ['NoSuchJob', 'unavail', 'InvalidParameterException',
                           'VolumeIsBusy', 'prepareIllegalVolume',
                           'NoSpaceLeftOnDomain'],
    'Peer.end': VOLUME + ['NoSuchJob', 'unavail', 'InvalidParameterException',
                          'VolumeIsBusy', 'prepareIllegalVolume',
                          'NoSpaceLeftOnDomain'],
    'Peer.digest': VOLUME + ['NoSuchJob', 'unavail',
                             'InvalidParameterException'],
    'Peer.info': ['nonresp', 'NoSuchJob', 'JobExists'],
    'Peer.finish': ['nonresp', 'NoSuchJob', 'JobExists', 'unavail'],
    'Peer.undo': ['nonresp', 'NoSuchJob', 'JobExists',
                  'unsupportedOperation'],
    'Job.list': [],
    'Job.info': ['NoSuchJob'],
    'Job.wait': ['NoSuchJob'],
    'Job.cancel': ['NoSuchJob', 'JobNotActive', 'unsupportedOperation'],
    'Job.limit': ['NoSuchJob', 'JobNotActive'],
    'Job.takeover': ['NoSuchJob', 'JobExists', 'JobNotActive',
                     'AcquireLockFailure'],
    'Events.subscribe': [],
    'rpc.discover': [],
}


def codes():
    """[(number, name, errno)] of codes.h."""
    text = (HEADERS / 'base' / 'codes.h').read_text(encoding='utf-8')
    rows = re.findall(r'X\(\w+,\s*(-?\d+),\s*"(\w+)",\s*(\w+)\)', text)
    return sorted((int(number), name, errno) for number, name, errno in rows)


def limits():
    """{'RPC_DEPTH_MAX': 32, ...} of rpc/server.h."""
    text = (HEADERS / 'rpc' / 'server.h').read_text(encoding='utf-8')
    rows = re.findall(r'(RPC_\w+_MAX) = ([\d *]+),', text)
    result = {}
    for name, product in rows:
        result[name] = 1
        for factor in product.split('*'):
            result[name] *= int(factor)
    return result


def escape(text):
    return text.replace('|', '\\|')


def show_bounds(schema):
    low, high = schema['minimum'], schema['maximum']
    if high >= 2 ** 32:
        return f'integer, at least {low}'
    return f'integer, {low} to {high}'


def show_string(schema):
    pattern = schema.get('pattern', '')
    if 'enum' in schema:
        return ' '.join(f'`{word}`' for word in schema['enum'])
    if pattern.startswith(UUID):
        return 'uuid'
    if pattern == '^[0-9]+$':
        return 'size'
    if pattern == '^/':
        return 'path'
    if pattern == '^(/|[^/]+:/)':
        return 'path or export'
    if 'format' in schema:
        return schema['format']
    if 'maxLength' in schema:
        return f'string, at most {schema["maxLength"]} bytes'
    return 'name'


def show_type(schema):
    kind = schema['type']
    if kind == 'array':
        count = ''
        if 'maxItems' in schema:
            count = f'{schema["minItems"]} to {schema["maxItems"]} '
        what = show_type(schema['items'])
        what = re.sub(r'^(object|path)', r'\1s', what)
        return f'array of {count}{what}'
    if kind == 'object' and schema.get('additionalProperties'):
        return 'object; other members are ignored'
    if kind == 'integer':
        return show_bounds(schema)
    return show_string(schema) if kind == 'string' else kind


def show_need(schema, required):
    words = ['required' if required else 'optional']
    if 'default' in schema:
        words.append(f'default `{json.dumps(schema["default"])}`')
    if schema.get('nullable'):
        words.append('nullable')
    return ', '.join(words)


def show_row(name, schema, required, text):
    return (f'| `{name}` | {show_type(schema)} | '
            f'{show_need(schema, required)} | {escape(text)} |')


def show_param(param):
    """A row, and one for each member of objects."""
    name, schema = param['name'], param['schema']
    yield show_row(name, schema, param['required'], param['description'])
    items = schema.get('items', schema)
    if schema['type'] == 'array':
        name += '[]'
    for member, what in items.get('properties', {}).items():
        yield show_row(f'{name}.{member}', what, member in items['required'],
                       what['description'])


def show_verb(method):
    name = method['name']
    yield f'### {name}'
    yield f'{method["summary"]} Role: {method["x-role"]}.'
    yield ''
    if method['params']:
        yield '| parameter | type | | |'
        yield '|---|---|---|---|'
        for param in method['params']:
            yield from show_param(param)
        yield ''
    result = method['result']
    yield f'Result: {result["schema"]["type"]}. {result["description"]}'
    if ERRORS[name]:
        yield ''
        yield 'Errors: ' + ', '.join(ERRORS[name]) + '.'
    yield ''


def check(methods, names):
    """ERRORS speaks of what there is, and of all of it."""
    verbs = {method['name'] for method in methods}
    strange = {name for errors in ERRORS.values() for name in errors} - names
    wrong = (verbs ^ set(ERRORS)) | strange
    if wrong:
        sys.exit('make-api.py: correct ERRORS: ' + ', '.join(sorted(wrong)))


def make(document):
    """The whole page."""
    rows = codes()
    methods = document['methods']
    check(methods, {name for _, name, _ in rows})
    text = (HERE / 'api-head.md').read_text(encoding='utf-8')
    for name, value in limits().items():
        text = text.replace(f'@{name}@', str(value))
    table = '\n'.join(f'| {number} | {name} | {errno} |'
                      for number, name, errno in rows)
    verbs = '\n'.join(line for method in methods
                      for line in show_verb(method)).rstrip()
    return text.replace('@CODES@', table).replace('@VERBS@', verbs)


if __name__ == '__main__':
    sys.stdout.write(make(json.load(sys.stdin)))
