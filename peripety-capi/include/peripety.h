/*
 * libperipety: block devices and storage failures of Linux.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Made by cbindgen from peripety-capi; libperipety(3) explains it. Functions that can fail take a place for an error last, which
 * may be NULL; without an error it is set to NULL. Texts are UTF-8 and belong to the object that gave them, unless it says
 * otherwise. NULL in place of an object is an error or gives nothing, and never ends the program.
 */

#ifndef PERIPETY_H
#define PERIPETY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Grows when functions are added. */
#define PERIPETY_API_VERSION 1

/**
 * What kind of error it is. Later versions may add some.
 */
enum peripety_error_kind {
  /**
   * No error.
   */
  PERIPETY_ERROR_NONE = 0,
  /**
   * A pointer is NULL, a text is not UTF-8, or an option has a value that it cannot have.
   */
  PERIPETY_ERROR_ARGUMENT = 1,
  /**
   * No peripetyd listens.
   */
  PERIPETY_ERROR_NO_DAEMON = 2,
  /**
   * The user may not.
   */
  PERIPETY_ERROR_PERMISSION = 3,
  /**
   * The system refused.
   */
  PERIPETY_ERROR_SYSTEM = 4,
  /**
   * The daemon refused.
   */
  PERIPETY_ERROR_REFUSED = 5,
  /**
   * The daemon sent what this version does not understand.
   */
  PERIPETY_ERROR_NONSENSE = 6,
  /**
   * The daemon did not answer in time.
   */
  PERIPETY_ERROR_TIMEOUT = 7,
  /**
   * Nothing has this name.
   */
  PERIPETY_ERROR_UNKNOWN_DEVICE = 8,
  /**
   * Several devices have this name.
   */
  PERIPETY_ERROR_AMBIGUOUS_DEVICE = 9,
  /**
   * The name is of something that is no block device.
   */
  PERIPETY_ERROR_NOT_A_DEVICE = 10,
  /**
   * A bug of this library.
   */
  PERIPETY_ERROR_BUG = 11,
};

/**
 * What an item is. Later versions may add some.
 */
enum peripety_item_kind {
  /**
   * NULL was given.
   */
  PERIPETY_ITEM_NONE = 0,
  /**
   * A revision of an event.
   */
  PERIPETY_ITEM_EVENT = 1,
  /**
   * A revision of an incident.
   */
  PERIPETY_ITEM_INCIDENT = 2,
  /**
   * What was stored is through: what comes now happens now.
   */
  PERIPETY_ITEM_LIVE = 3,
  /**
   * Something may be missing here; the text says why.
   */
  PERIPETY_ITEM_GAP = 4,
  /**
   * The daemon ended. The stream goes on when there is another one.
   */
  PERIPETY_ITEM_DISCONNECTED = 5,
};

/**
 * What came of looking for an item.
 */
enum peripety_next {
  /**
   * It failed; `*error` says why. A later call may have an item: after a refusal the daemon is asked anew.
   */
  PERIPETY_NEXT_ERROR = -1,
  /**
   * Nothing now.
   */
  PERIPETY_NEXT_NOTHING = 0,
  /**
   * There is an item.
   */
  PERIPETY_NEXT_ITEM = 1,
  /**
   * Nothing more, ever.
   */
  PERIPETY_NEXT_OVER = 2,
};

/**
 * What is known of a device as text.
 */
enum peripety_device_field {
  /**
   * The path that people use: `/dev/mapper/mpatha`, `/dev/vg/lv`. Never empty.
   */
  PERIPETY_DEVICE_NAME = 0,
  /**
   * The kernel's node: `/dev/dm-0`.
   */
  PERIPETY_DEVICE_NODE = 1,
  /**
   * World wide id; for a loop device the file behind it.
   */
  PERIPETY_DEVICE_WWID = 2,
  /**
   * Kind of device: `scsi`, `nvme`, `partition`, `dm-multipath`, `md` …
   */
  PERIPETY_DEVICE_TYPE = 3,
  /**
   * Serial number.
   */
  PERIPETY_DEVICE_SERIAL = 4,
  /**
   * Vendor.
   */
  PERIPETY_DEVICE_VENDOR = 5,
  /**
   * Model.
   */
  PERIPETY_DEVICE_MODEL = 6,
  /**
   * UUID of the filesystem, or of other content.
   */
  PERIPETY_DEVICE_UUID = 7,
  /**
   * Type of the content: `ext4`, `LVM2_member` …
   */
  PERIPETY_DEVICE_FS_TYPE = 8,
  /**
   * Label of the filesystem.
   */
  PERIPETY_DEVICE_LABEL = 9,
  /**
   * How it is reached: `fc`, `iscsi`, `sas`, `sata`, `nvme`, `usb`, `virtio`.
   */
  PERIPETY_DEVICE_TRANSPORT = 10,
  /**
   * Its address there: H:C:T:L, PCI address, name of a target.
   */
  PERIPETY_DEVICE_TRANSPORT_ID = 11,
  /**
   * Level of an md array: `raid1` …
   */
  PERIPETY_DEVICE_RAID_LEVEL = 12,
};

/**
 * A block device, what it is made of and what is made of it. It does not change: threads may share it.
 */
struct peripety_device;

/**
 * The block devices of this machine, as they were when they were looked at. It does not change: threads may share it.
 */
struct peripety_devices;

/**
 * Why a function failed.
 */
struct peripety_error;

/**
 * What came: a revision of an event or of an incident, or what became of the stream. It does not change: threads may share it.
 */
struct peripety_item;

/**
 * What a stream is to give. One thread's at a time.
 */
struct peripety_options;

/**
 * Events and incidents as they come. For the thread that opened it, because libsystemd wants that of the journal; there is no thread behind it.
 */
struct peripety_stream;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Looks at all block devices: reads sysfs, mountinfo and udev's database, and superblocks where there is no udev. `root` is
 * NULL for this machine, or a directory with a copy of another one's `sys`, `proc`, `dev` and `run`.
 *
 * NULL, and `*error`, where sysfs cannot be read.
 */
struct peripety_devices *peripety_devices_scan(const char *root,
                                               struct peripety_error **error);

/**
 * How many there are.
 */
size_t peripety_devices_count(const struct peripety_devices *devices);

/**
 * One of them, which belongs to `devices`; NULL beyond the last.
 */
const struct peripety_device *peripety_devices_get(const struct peripety_devices *devices,
                                                   size_t index);

/**
 * The device that a name leads to: `sda1`, `/dev/mapper/mpatha`, `8:1`, `4:0:0:1`, `UUID=…`, `nvme0:1`, a world wide id in any
 * spelling, a serial number, a mount point, a file on it, the file behind a loop device. It is freed by
 * peripety_device_free().
 */
struct peripety_device *peripety_devices_resolve(const struct peripety_devices *devices,
                                                 const char *name,
                                                 struct peripety_error **error);

/**
 * Frees devices. NULL is no harm.
 */
void peripety_devices_free(struct peripety_devices *devices);

/**
 * Looks at all block devices, and gives the one that a name leads to. For more than one name peripety_devices_scan() is
 * quicker.
 */
struct peripety_device *peripety_resolve(const char *name,
                                         struct peripety_error **error);

/**
 * Frees a device that was resolved. NULL is no harm.
 */
void peripety_device_free(struct peripety_device *device);

/**
 * What is known of a device; an empty text for what is not known. `field` is one of peripety_device_field.
 */
const char *peripety_device_get_text(const struct peripety_device *device,
                                     uint32_t field);

/**
 * Everything that is known of a device and of those below and above it, as JSON: `block` in event.schema.json. A device
 * below or above another one has only itself.
 */
const char *peripety_device_get_json(const struct peripety_device *device);

/**
 * Major number.
 */
uint32_t peripety_device_get_major(const struct peripety_device *device);

/**
 * Minor number.
 */
uint32_t peripety_device_get_minor(const struct peripety_device *device);

/**
 * Size in bytes; 0 where it is not known.
 */
uint64_t peripety_device_get_size(const struct peripety_device *device);

/**
 * Whether the device is there, or what is reported is remembered.
 */
bool peripety_device_is_live(const struct peripety_device *device);

/**
 * Where its filesystem is mounted; NULL beyond the last place.
 */
const char *peripety_device_get_mount_point(const struct peripety_device *device, size_t index);

/**
 * What the device is made of, through partitions, LVM, multipath, md and loop, nearest first; NULL beyond the last. It
 * belongs to `device`.
 */
const struct peripety_device *peripety_device_get_below(const struct peripety_device *device,
                                                        size_t index);

/**
 * What is made of the device, nearest first; NULL beyond the last. It belongs to `device`.
 */
const struct peripety_device *peripety_device_get_above(const struct peripety_device *device,
                                                        size_t index);

/**
 * What kind of error it is; PERIPETY_ERROR_NONE for NULL.
 */
enum peripety_error_kind peripety_error_get_kind(const struct peripety_error *error);

/**
 * What failed, on what, why and what to do, in one line; an empty text for NULL. It lives as long as the error.
 */
const char *peripety_error_get_message(const struct peripety_error *error);

/**
 * Frees an error. NULL is no harm.
 */
void peripety_error_free(struct peripety_error *error);

/**
 * What the item is.
 */
enum peripety_item_kind peripety_item_get_kind(const struct peripety_item *item);

/**
 * Severity as syslog numbers it, 0 (emergency) to 7 (debug); -1 for what is neither an event nor an incident.
 */
int32_t peripety_item_get_severity(const struct peripety_item *item);

/**
 * One line for people: the message of an event, the title of an incident, why there is a gap.
 */
const char *peripety_item_get_text(const struct peripety_item *item);

/**
 * The event or incident as JSON (event.schema.json, incident.schema.json); an empty text for anything else.
 */
const char *peripety_item_get_json(const struct peripety_item *item);

/**
 * A value of the JSON by its path (RFC 6901): `/event_type`, `/block/wwid`, `/facts/scsi/sense_key/name`. Numbers, lists and
 * objects are given as JSON. NULL where there is none. The text lives as long as the item.
 */
const char *peripety_item_get(const struct peripety_item *item,
                              const char *path);

/**
 * A whole number of the JSON by its path: `/count`, `/io/sector`. False, and `*value` as it was, where there is none or it
 * does not fit.
 */
bool peripety_item_get_number(const struct peripety_item *item,
                              const char *path,
                              int64_t *value);

/**
 * The place after this item, for the option `after` of a later stream; an empty text where there is none.
 */
const char *peripety_item_get_cursor(const struct peripety_item *item);

/**
 * The number that the daemon gave it, which grows over all daemons of a boot, with gaps; 0 where it has none.
 */
uint64_t peripety_item_get_sequence(const struct peripety_item *item);

/**
 * Revisions that the daemon left out so far, because this reader was too slow. Of each event its last revision comes all the
 * same.
 */
uint64_t peripety_item_get_dropped(const struct peripety_item *item);

/**
 * Revisions so far that were due and are no longer to be had, neither from the daemon nor from the journal.
 */
uint64_t peripety_item_get_missed(const struct peripety_item *item);

/**
 * Frees an item. NULL is no harm.
 */
void peripety_item_free(struct peripety_item *item);

/**
 * Options of a stream: every event that happens from now on, from the daemon.
 */
struct peripety_options *peripety_options_new(void);

/**
 * Sets an option. Those that are lists take one value with each call:
 *
 * | name | value |
 * |---|---|
 * | severity | as bad as this or worse: emergency, alert, critical, error, warning, notice, info, debug |
 * | type, sub_system, device, mount_point, host | a list of names; `*` stands for anything |
 * | impact | a list: data_lost, unavailable, read_only, data_at_risk, redundancy_lost, path_lost, slow, none; takes incidents only |
 * | events | yes (as it is without this option) or no |
 * | incidents | yes or no (as it is without this option) |
 * | follow | yes (as it is without this option), or no: the stream is over after what is stored |
 * | source | auto (the daemon, and from the journal what it no longer has), socket or journal |
 * | start | now, or stored: with all that the source holds |
 * | after | the cursor of an item: with what came after it |
 * | socket | path of the daemon's socket |
 * | journal | a directory of journal files in place of the system's |
 * | daemon | path of a peripetyd that is believed in the journal, beside the installed one |
 *
 * 0, or -1 and `*error`.
 */
int32_t peripety_options_set(struct peripety_options *options,
                             const char *name,
                             const char *value,
                             struct peripety_error **error);

/**
 * Frees options; a stream that was opened with them keeps its own. NULL is no harm.
 */
void peripety_options_free(struct peripety_options *options);

/**
 * Begins a stream; `options` may be NULL. NULL, and `*error`, where its source cannot be read.
 */
struct peripety_stream *peripety_stream_open(const struct peripety_options *options,
                                             struct peripety_error **error);

/**
 * A descriptor for poll(2) with POLLIN: it is readable when peripety_stream_next() may have an item, after that gave
 * PERIPETY_NEXT_NOTHING. It belongs to the stream and stays the same. -1 for NULL.
 */
int32_t peripety_stream_get_fd(const struct peripety_stream *stream);

/**
 * What came, without waiting: call it until it gives PERIPETY_NEXT_NOTHING, then poll. `*item` is the caller's to free.
 */
enum peripety_next peripety_stream_next(struct peripety_stream *stream,
                                        struct peripety_item **item,
                                        struct peripety_error **error);

/**
 * The same, and waits for `timeout_ms` milliseconds at most, for ever when that is negative. A signal ends it with
 * PERIPETY_NEXT_NOTHING.
 */
enum peripety_next peripety_stream_wait(struct peripety_stream *stream,
                                        int32_t timeout_ms,
                                        struct peripety_item **item,
                                        struct peripety_error **error);

/**
 * Ends a stream. NULL is no harm.
 */
void peripety_stream_free(struct peripety_stream *stream);

/**
 * Asks the daemon: `status` (open incidents and what is wrong now), `stats`, `probes`, `config`, `metrics`; `ack` and `resolve`
 * with what it is about and why. Answers with JSON, to be freed by peripety_string_free(); NULL, and `*error`, where there is
 * no answer within 10 s. `socket`, `target` and `reason` may be NULL.
 */
char *peripety_ask(const char *socket,
                   const char *request,
                   const char *target,
                   const char *reason,
                   struct peripety_error **error);

/**
 * Version of this library: `"0.1.0"`.
 */
const char *peripety_version(void);

/**
 * Frees a text that was given for keeping, by peripety_ask().
 */
void peripety_string_free(char *text);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PERIPETY_H */
