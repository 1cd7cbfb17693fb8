/*
 * group.h - objects of one partition that land together: the sink keeps an
 * object open for each time bucket, and closes them at once.
 *
 *	manifests/<topic>/[generation=<g>/]partition=<p>/group+<first, 20 digits>.json
 *	{"after":"<20 digits>"|null,"sides":["keys","headers"],
 *	 "objects":[{"key":"topics/…json.gz","lines":3,"bytes":81,"crc":"<8 hex>",
 *		     "keys":"<8 hex>","headers":"<8 hex>"},…],
 *	 "runs":[<object>,<count>,<object>,<count>,…]}
 *	manifests/<topic>/[generation=<g>/]partition=<p>/group+<first, 20 digits>_<number>.json
 *
 *	{"after":"<20 digits>"|null,"plain":true}
 *
 * `runs` goes over every offset from `first` on: so many are lines of that object, in order, or,
 * with -1, no records, or were lost (enum group_none). `bytes` and CRC-32C are of the text before
 * gzip: another zlib may pack it otherwise. `sides`: each object has a file of its records' keys
 * and one of their headers beside it, a line for each of its lines. `after` as in manifest.h.
 *
 *  1. Plain and grouped. Plain objects (manifest.h, lake.h) are put without a manifest, each
 *     create-only under the name of its first offset: of two sinks at the same offset one wins.
 *     A group has several names, which may be others in another sink (other buckets, gzip). So
 *     there the manifest is what is put create-only, by the group's first offset, before any of its
 *     objects: it says which objects they are, and which offsets these have. Nothing that is put
 *     here, or below, is ever replaced. The first offset is the one after all that objects and
 *     manifests tell that were put before (0, if there are none), though the first record may be a
 *     later one: so of two sinks that go on at the same place one wins, whatever each of them still
 *     finds in the log.
 *  2. Who puts a manifest and finds another there has lost: it drops what it has and goes on from
 *     the lake (sink_recover.h).
 *  3. Objects of a group are put in the order of the manifest, each with its sides before it. So
 *     the last one tells whether the group is whole. A sink that finds one that is not makes the
 *     objects once more out of the log, by the manifest and nothing else, and puts those that are
 *     not there. It may be doing so beside the one that began: they put the same texts.
 *  4. From its first group on a partition is grouped for ever, whatever the sinks' options are: a
 *     plain object is then a group of one. So readers take plain objects that begin before the
 *     first group, and of what begins behind it only what groups name.
 *  5. What is left are sinks that were at work before the first group was put, and have not looked
 *     since: they put plain objects. The one that puts the first group therefore bars their way
 *     first, by an object without a text under the plain name of the group's first record: nobody
 *     comes past that, since plain objects, too, are put one after the other. Such bars are no
 *     records for any reader. An object of the group that would have that name has the number of
 *     its manifest in its name (lake.h).
 *  6. In a partition without any object there is nothing to bar. There a plain sink, too, puts a
 *     manifest, once, which only says that the partition is plain ("plain"). If no plain object
 *     followed, the first group begins there, too, or where that manifest does, if this is behind:
 *     an older program gave it the first line's offset.
 *  7. Of the manifests of one first offset the one with the highest number counts: a group's takes
 *     the place of one that said "plain", and one that is "amended" that of a group which cannot be
 *     made whole, since the log has lost records of it. Others may still be at that group: one
 *     that slept through it all puts its objects when it wakes. So it is decided once, for all:
 *      a. Whoever gives a group up bars its last object's name, create-only. If the object is there
 *         after all, the group is whole, and stays what it is. If not, it never will be whole.
 *      b. Then, backwards, the names before it, some at a time, until an object is there: it and
 *         those before it stay. From then on nothing under any of the group's names changes:
 *         whoever still puts its objects finds a bar, and asks the lake anew.
 *      c. Then the next manifest is put, create-only as any: the objects that stay, then others
 *         that have what the log has left, and the manifest's number in their names, so that
 *         nobody else's objects have those. What was lost is in its runs, with the reason.
 *      d. Letters of what was lost follow from the manifest alone. Every sink that finds it as the
 *         last one puts them before anything else; those that are there already stay.
 *     A sink that ended between b and c leaves a group with bars: the next one gives it up, too,
 *     though nothing need be lost. An amended group can be given up in its turn.
 *  8. A sink that finds the way barred, and no group yet (the other one has ended in between),
 *     puts a group.
 *  9. So what a reader finds whole, by whatever manifest, is whole, and counts, for ever; it need
 *     not look whether another manifest has come since.
 * 10. A loss that the sink tells between groups is a group without objects, for the same reason: a
 *     sink that still holds those records, and wakes, finds that its manifest's name is taken.
 * 11. Letters between groups come behind such a group, too ("letters"): sinks that part at a
 *     record, by their options or by what the log still has, would else both go on, each under
 *     names of its own. It decides that none of its offsets is a line, so it need not be amended:
 *     whoever finds it as the last one, without all of its letters, puts one for each record of it
 *     that the log has, and one for what that has lost.
 * 12. Only a partition that may have plain objects, and no group yet, has letters without a
 *     manifest: that would be its first group, and what is to be barred (rule 5) is not known yet.
 *     They do not move the name of the next manifest, which has their offsets as no records. There
 *     sinks of other options may have a letter and a line of one record.
 *
 * Ownership: group_release(). Threads: what was read is only read, so any.
 */
#ifndef FLOW_GROUP_H
#define FLOW_GROUP_H

#include "flow/manifest.h"

enum {
	GROUP_OBJECTS_MAX = 10000,
	GROUP_RUNS_MAX = 1000000, /* a sink closes its group then */
	GROUP_NUMBERS_MAX = 9999, /* manifests of one first offset */
};

/* What a run is that is lines of no object. */
enum group_none {
	GROUP_NO_RECORD = -1, /* or it is a dead letter, of a record that came */
	GROUP_LOST_RETENTION = -2,
	GROUP_LOST_REMOVED = -3,
	GROUP_LOST_DAMAGED = -4,
};

enum group_side { GROUP_KEYS, GROUP_HEADERS, GROUP_SIDES };

struct group_object {
	char *key;
	uint64_t start; /* of its first line */
	uint64_t lines;
	uint64_t bytes;
	uint32_t crc;
	uint32_t side_crc[GROUP_SIDES];
};

struct group_run {
	int32_t object; /* or an enum group_none */
	uint32_t count;
};

struct group {
	uint64_t first;
	bool has_after;
	uint64_t after;
	bool plain;  /* rule 6: nothing else is set */
	uint32_t number; /* of the manifest; 0 is 1, which has none in its name */
	bool amended; /* rule 7: it may end with no records, and have no object */
	bool letters; /* rule 11: its offsets are dead letters, and it has no object */
	bool sides[GROUP_SIDES];
	struct group_object *objects;
	size_t object_count;
	size_t object_room;
	struct group_run *runs;
	size_t run_count;
	size_t run_room;
	uint64_t end; /* the offset after its last one */
};

/* --- for who writes ---------------------------------------------------------- */

/* One more object; its key is copied. Returns which it is. */
size_t group_add_object(struct group *group, const char *key, uint64_t start);
/* The offset of a line of that object, rising over all of the group; what lies between it and the
 * one before were no records. */
void group_add_line(struct group *group, size_t object, uint64_t offset);
/* So many from `first` on were lost; what lies before, and nothing was added of, are no records. */
void group_lose(struct group *group, uint64_t first, uint64_t count, enum group_none why);
/* Numbers before `offset` that nothing was added of are no records; the first ones, too, if this
 * comes before any line. */
void group_pass(struct group *group, uint64_t offset);
uint64_t group_first_line(const struct group *group);
/* Empty again; keeps its memory. */
void group_clear(struct group *group);
void group_release(struct group *group);
/* The prefix of the manifests' names, in place of what was there; returns its folder's length. */
size_t group_prefix(struct buf *prefix, struct lake_partition where);
void group_key(struct buf *key, struct lake_partition where, uint64_t first, uint32_t number);
/* Its key and text; both are cleared first. */
void group_write(const struct group *group, struct lake_partition where, struct buf *key,
		 struct buf *text);
const char *group_side_name(enum group_side side);
/* The key of an object's side: "….keys.json" of "….json"; cleared first. */
void group_side_key(struct buf *key, const char *object, enum group_side side);
bool group_is_packed(const char *key); /* ….gz */
/* About how long the text of an object is, by the size that it is stored with: what work it makes.
 */
uint64_t group_text_bytes(bool packed, uint64_t size);
/* Likewise, rather more than less: what memory it may take. */
uint64_t group_text_room(bool packed, uint64_t size);
/* Puts a bar under an object's name, create-only: an object without a text. */
MUST_USE enum err_code group_bar(struct store *store, const char *key, struct err *err);
/* Whether an object of that size is a bar. */
bool group_is_bar(const char *key, uint64_t size);

/* --- for who reads ----------------------------------------------------------- */

/* The offset and the number that a manifest's name has. False: no group's. `name`: what follows the
 * last slash. */
bool group_parse_name(struct slice name, uint64_t *ret_first, uint32_t *ret_number);
/* The manifest of that number, or (0) the one that counts, which is looked for, of those that begin
 * there. */
MUST_USE enum err_code group_load(struct store *store, struct lake_partition where, uint64_t first,
				  uint32_t number, struct group *ret_group, struct err *err);
/* The offsets of one object's lines, for the caller to release. */
void group_manifest(const struct group *group, size_t object, struct manifest *ret_manifest);
/* The text of an object, unpacked, appended to `text`; ERR_CORRUPT: it is not what the group says.
 */
MUST_USE enum err_code group_get(struct store *store, const struct group *group, size_t object,
				 struct buf *text, struct err *err);
/* Whether `text` is it. */
MUST_USE enum err_code group_check(const struct group *group, size_t object, struct slice text,
				   struct err *err);
/* Likewise, of a text that went by. */
MUST_USE enum err_code group_check_sum(const struct group *group, size_t object, uint64_t bytes,
				       uint32_t crc, struct err *err);
static inline uint64_t group_from(const struct group *group)
{
	return group->has_after ? group->after + 1 : group->first;
}
uint64_t group_bytes(const struct group *group);

/* Names, in order. */
struct group_name {
	uint64_t first;
	uint32_t number; /* the highest */
};

struct group_names {
	struct group_name *list;
	size_t count;
	size_t room;
};

/* Those of groups that begin after offset `after` (-1: all), `limit` at most. */
MUST_USE enum err_code group_list(struct store *store, struct lake_partition where, int64_t after,
				  size_t limit, struct group_names *ret_names, struct err *err);
void group_names_release(struct group_names *names);
/* Where the last group begins that begins at offset `most` or before it; *ret_found: there is one.
 */
MUST_USE enum err_code group_find_last(struct store *store, struct lake_partition where,
				       uint64_t most, bool *ret_found, uint64_t *ret_first,
				       struct err *err);
/* Where the partition's first group begins, from which on nothing is plain (rule 4); UINT64_MAX:
 * it has none. */
MUST_USE enum err_code group_find_first(struct store *store, struct lake_partition where,
					uint64_t *ret_first, struct err *err);

/* The object under `key`, unpacked if its name says that it is packed. */
MUST_USE enum err_code group_get_text(struct store *store, const char *key, struct buf *text,
				      struct err *err);

#endif
