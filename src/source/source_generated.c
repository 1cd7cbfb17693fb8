/*
 * source_generated.c - rows made up from a seed, distributed like the real
 * ones, each found in constant time.
 *
 * The real tables betray how they were made: whoever posts has one user row,
 * one place and one follower count, repeated on all of their rows; and of a
 * poster with m rows, each of these attributes is as small as the smallest of
 * m draws would be (so "Aaron", 20 years, Albania and -89 degrees abound). We
 * do the same: POSTERS posters with the multiplicities of the real ones, whose
 * attributes are drawn as the minimum of m uniform draws, 1 - (1-u)^(1/m).
 * They are made once, as text. A row then picks its poster and makes up the
 * rest out of mix(seed, k).
 *
 * Rows past the real 11,154 go on in the same way: row k has the poster and the
 * category of row k - 11,154, and the rest anew.
 */
#include "source/source.h"

#include "base/arena.h"
#include "base/mem.h"
#include "source/made_text.h"

#include <assert.h>
#include <math.h>

enum {
	PERIOD = 11154,			/* rows of the real tables */
	POSTERS = 5307,
	UNREAD = POSTERS - 1,		/* the poster of rows without user info */
	PEOPLE_BYTES_MAX = 8 << 20,
	ROW_BYTES_MAX = 8192,
	AGE_FIRST = 20,
	AGE_LAST = 60,
};

/* Seconds since 1970. */
static const uint32_t joined_first = 1445397467;	/* 2015-10-21 03:17:47 */
static const uint32_t joined_last = 1508496266;		/* 2017-10-20 10:44:26 */
static const uint32_t posted_first = 1508426022;	/* 2017-10-19 15:13:42 */
static const uint32_t posted_last = 1666202066;		/* 2022-10-19 17:54:26 */

static const char *const countries[] = {
	"Afghanistan", "Albania", "Algeria", "American Samoa", "Andorra", "Angola", "Anguilla",
	"Antarctica (the territory South of 60 deg S)", "Antigua and Barbuda", "Argentina",
	"Armenia", "Aruba", "Australia", "Austria", "Azerbaijan", "Bahamas", "Bahrain",
	"Bangladesh", "Barbados", "Belarus", "Belgium", "Belize", "Benin", "Bermuda", "Bhutan",
	"Bolivia", "Bosnia and Herzegovina", "Botswana", "Bouvet Island (Bouvetoya)", "Brazil",
	"British Indian Ocean Territory (Chagos Archipelago)", "British Virgin Islands",
	"Brunei Darussalam", "Bulgaria", "Burkina Faso", "Burundi", "Cambodia", "Cameroon",
	"Canada", "Cape Verde", "Cayman Islands", "Central African Republic", "Chad", "Chile",
	"China", "Christmas Island", "Cocos (Keeling) Islands", "Colombia", "Comoros", "Congo",
	"Cook Islands", "Costa Rica", "Cote d'Ivoire", "Croatia", "Cuba", "Cyprus",
	"Czech Republic", "Denmark", "Djibouti", "Dominica", "Dominican Republic", "Ecuador",
	"Egypt", "El Salvador", "Equatorial Guinea", "Eritrea", "Estonia", "Ethiopia",
	"Falkland Islands (Malvinas)", "Faroe Islands", "Fiji", "Finland", "France",
	"French Guiana", "French Polynesia", "French Southern Territories", "Gabon", "Gambia",
	"Georgia", "Germany", "Ghana", "Gibraltar", "Greece", "Greenland", "Grenada",
	"Guadeloupe", "Guam", "Guatemala", "Guernsey", "Guinea", "Guinea-Bissau", "Guyana",
	"Haiti", "Heard Island and McDonald Islands", "Holy See (Vatican City State)",
	"Honduras", "Hong Kong", "Hungary", "Iceland", "India", "Indonesia", "Iran", "Iraq",
	"Ireland", "Isle of Man", "Israel", "Italy", "Jamaica", "Japan", "Jersey", "Jordan",
	"Kazakhstan", "Kenya", "Kiribati", "Korea", "Kuwait", "Kyrgyz Republic",
	"Lao People's Democratic Republic", "Latvia", "Lebanon", "Lesotho", "Liberia",
	"Libyan Arab Jamahiriya", "Liechtenstein", "Lithuania", "Luxembourg", "Macao",
	"Macedonia", "Madagascar", "Malawi", "Malaysia", "Maldives", "Mali", "Malta",
	"Marshall Islands", "Martinique", "Mauritania", "Mauritius", "Mayotte", "Mexico",
	"Micronesia", "Moldova", "Monaco", "Mongolia", "Montenegro", "Montserrat", "Morocco",
	"Mozambique", "Myanmar", "Namibia", "Nauru", "Nepal", "Netherlands",
	"Netherlands Antilles", "New Caledonia", "New Zealand", "Nicaragua", "Niger", "Nigeria",
	"Niue", "Norfolk Island", "Northern Mariana Islands", "Norway", "Oman", "Pakistan",
	"Palau", "Palestinian Territory", "Panama", "Papua New Guinea", "Paraguay", "Peru",
	"Philippines", "Pitcairn Islands", "Poland", "Portugal", "Puerto Rico", "Qatar",
	"Reunion", "Romania", "Russian Federation", "Rwanda", "Saint Barthelemy", "Saint Helena",
	"Saint Kitts and Nevis", "Saint Lucia", "Saint Martin", "Saint Pierre and Miquelon",
	"Saint Vincent and the Grenadines", "Samoa", "San Marino", "Sao Tome and Principe",
	"Saudi Arabia", "Senegal", "Serbia", "Seychelles", "Sierra Leone", "Singapore",
	"Slovakia (Slovak Republic)", "Slovenia", "Solomon Islands", "Somalia", "South Africa",
	"South Georgia and the South Sandwich Islands", "Spain", "Sri Lanka", "Sudan",
	"Suriname", "Svalbard & Jan Mayen Islands", "Swaziland", "Sweden", "Switzerland",
	"Syrian Arab Republic", "Taiwan", "Tajikistan", "Tanzania", "Thailand", "Timor-Leste",
	"Togo", "Tokelau", "Tonga", "Trinidad and Tobago", "Tunisia", "Turkey", "Turkmenistan",
	"Turks and Caicos Islands", "Tuvalu", "Uganda", "Ukraine", "United Arab Emirates",
	"United Kingdom", "United States Minor Outlying Islands", "United States Virgin Islands",
	"United States of America", "Uruguay", "Uzbekistan", "Vanuatu", "Venezuela", "Vietnam",
	"Wallis and Futuna", "Western Sahara", "Yemen", "Zambia", "Zimbabwe",
};

static const char *const first_names[] = {
	"Aaron", "Abel", "Abigail", "Ada", "Adam", "Adele", "Adrian", "Agnes", "Alan", "Albert",
	"Alec", "Alexandra", "Alfred", "Alice", "Alina", "Alma", "Alvin", "Amanda", "Amelia",
	"Amos", "Amy", "Andrea", "Andrew", "Angela", "Anita", "Anna", "Anthony", "April",
	"Arlene", "Arthur", "Audrey", "Austin", "Barbara", "Beatrice", "Benjamin", "Bernard",
	"Beth", "Bianca", "Blake", "Bonnie", "Brandon", "Brenda", "Brian", "Bruce", "Caleb",
	"Calvin", "Cara", "Carl", "Carmen", "Caroline", "Casey", "Catherine", "Cecil", "Celia",
	"Charles", "Chloe", "Christine", "Clara", "Claude", "Colin", "Connor", "Cora", "Craig",
	"Crystal", "Curtis", "Cynthia", "Daisy", "Damian", "Daniel", "Daphne", "David", "Dawn",
	"Dean", "Deborah", "Dennis", "Diana", "Dominic", "Dora", "Douglas", "Duncan", "Dylan",
	"Edith", "Edward", "Eileen", "Elena", "Eli", "Elizabeth", "Ella", "Emily", "Eric",
	"Esther", "Ethan", "Eva", "Evelyn", "Felix", "Fiona", "Florence", "Frances", "Frank",
	"Gabriel", "Gail", "Garrett", "Gemma", "George", "Gina", "Grace", "Graham", "Greg",
	"Hannah", "Harold", "Harriet", "Hazel", "Heather", "Helen", "Henry", "Holly", "Hugo",
	"Ian", "Ida", "Irene", "Isaac", "Isabel", "Jack", "Jacob", "James", "Jane", "Jasmine",
	"Jason", "Jean", "Jeffrey", "Jenna", "Jeremy", "Jesse", "Joan", "Joel", "John", "Jonah",
	"Joseph", "Joyce", "Julia", "Justin", "Karen", "Keith", "Kelly", "Kevin", "Kristina",
	"Laura", "Lauren", "Leo", "Linda", "Logan", "Lucas", "Lydia", "Marcus", "Maria",
	"Martin", "Mary", "Matthew", "Megan", "Michael", "Mona", "Nadia", "Nathan", "Nicole",
	"Noel", "Nora", "Oliver", "Olivia", "Owen", "Patricia", "Paul", "Peter", "Phoebe",
	"Rachel", "Ralph", "Rebecca", "Richard", "Robert", "Rosa", "Roy", "Ruth", "Samuel",
	"Sarah", "Scott", "Sean", "Simon", "Sophie", "Stella", "Stephen", "Susan", "Teresa",
	"Thomas", "Tina", "Todd", "Tracy", "Ursula", "Valerie", "Victor", "Vincent", "Walter",
	"Wendy", "William", "Yolanda", "Yvonne", "Zachary", "Zelda",
};

static const char *const last_names[] = {
	"Abbot", "Abrams", "Adler", "Ainsley", "Albright", "Alden", "Allard", "Ames", "Anders",
	"Archer", "Armitage", "Arnett", "Ashby", "Atwood", "Avery", "Babcock", "Baird",
	"Baldwin", "Bancroft", "Barlow", "Barnett", "Bauer", "Baxter", "Beckett", "Bellamy",
	"Benson", "Birch", "Blackwell", "Blair", "Bolton", "Booth", "Bowman", "Bradshaw",
	"Bramwell", "Brewster", "Briggs", "Bristow", "Brooks", "Buckley", "Burgess", "Burke",
	"Byrd", "Caldwell", "Calloway", "Carlisle", "Carver", "Chandler", "Chase", "Clayton",
	"Clifton", "Cobb", "Colby", "Conway", "Cooke", "Corbett", "Cramer", "Crosby", "Dalton",
	"Darby", "Davenport", "Dawson", "Decker", "Denton", "Dillard", "Dixon", "Donovan",
	"Drake", "Draper", "Dudley", "Dunbar", "Eaton", "Eddy", "Eldridge", "Ellery", "Elmore",
	"Emerson", "Everett", "Fairchild", "Farley", "Farrow", "Fenton", "Fielding", "Finch",
	"Fisher", "Fleming", "Fletcher", "Foley", "Forsyth", "Fox", "Frost", "Fuller", "Gage",
	"Gallagher", "Gardner", "Garland", "Gibbons", "Gilmore", "Glover", "Goodwin", "Graves",
	"Greer", "Griffith", "Hadley", "Hale", "Halstead", "Hammond", "Hardy", "Harlow",
	"Hartman", "Hastings", "Hawkins", "Hayward", "Heath", "Henley", "Hewitt", "Higgins",
	"Hobbs", "Holden", "Holloway", "Hooper", "Horton", "Howell", "Hudson", "Hurst", "Ingram",
	"Irving", "Ives", "Jarvis", "Jennings", "Jewell", "Joyner", "Keating", "Keller", "Kemp",
	"Kendall", "Kirby", "Knapp", "Kramer", "Lambert", "Landry", "Langley", "Larkin",
	"Lawson", "Leland", "Lockhart", "Lowell", "Ludlow", "Lyman", "Mackey", "Maddox",
	"Malone", "Marlow", "Mayfield", "Mercer", "Merritt", "Milton", "Monroe", "Morrow",
	"Nash", "Newell", "Nixon", "Norris", "Norwood", "Oakley", "Ogden", "Osborne", "Palmer",
	"Parrish", "Paxton", "Pemberton", "Perkins", "Pierce", "Porter", "Prescott", "Quigley",
	"Quinn", "Radcliffe", "Ramsey", "Rawlings", "Redding", "Reeves", "Rhodes", "Ridley",
	"Rollins", "Roscoe", "Rowland", "Russo", "Sadler", "Sanford", "Sawyer", "Seaton",
	"Selby", "Shepard", "Sherwood", "Sinclair", "Slater", "Sloan", "Spencer", "Stafford",
	"Stanton", "Sterling", "Stokes", "Sutton", "Swanson", "Talbot", "Tanner", "Thatcher",
	"Thornton", "Tilden", "Townsend", "Travers", "Tucker", "Underwood", "Upton", "Vance",
	"Vaughn", "Vickers", "Waldron", "Walsh", "Warner", "Watkins", "Webster", "Weldon",
	"Wentworth", "Whitaker", "Wilder", "Winslow", "Woodard", "Wyatt", "Yates", "York",
	"Zeller",
};

/* First row of each category, as the real table is sorted. */
static const uint32_t category_first[MADE_CATEGORIES] = {
	0, 893, 1640, 2636, 3467, 4331, 5078, 5865, 6723, 7576, 8484, 9457, 10314,
};

/* So many posters have so many rows. */
static const struct {
	uint16_t rows;
	uint16_t posters;
} multiplicity[] = {
	{ 1, 3869 }, { 2, 640 }, { 3, 272 }, { 4, 156 }, { 5, 88 }, { 6, 65 }, { 7, 36 }, { 8, 35 },
	{ 9, 22 }, { 10, 25 }, { 11, 11 }, { 12, 9 }, { 13, 8 }, { 14, 8 }, { 15, 6 }, { 16, 5 },
	{ 17, 1 }, { 18, 7 }, { 19, 5 }, { 20, 3 }, { 21, 3 }, { 23, 1 }, { 24, 4 }, { 26, 1 },
	{ 28, 3 }, { 30, 1 }, { 31, 1 }, { 32, 1 }, { 35, 3 }, { 36, 1 }, { 38, 1 }, { 44, 1 },
	{ 45, 2 }, { 47, 1 }, { 49, 1 }, { 53, 1 }, { 54, 1 }, { 60, 1 }, { 68, 1 }, { 81, 1 },
	{ 86, 2 }, { 88, 1 }, { 140, 1 }, { 244, 1 },
};
/* One more is whoever stands behind the rows without user info. */
enum { UNREAD_ROWS = 88 };

static const char no_title[] = "No Title Data Available";
static const char no_story[] = "No description available Story format";
static const char no_text[] = "No description available";
static const char no_user[] = "User Info Error";
static const char no_tags[] = "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e";
static const char no_image[] = "Image src error.";

enum pin_kind { PIN_IMAGE, PIN_VIDEO, PIN_STORY };
static const char *const kind_name[] = {
	[PIN_IMAGE] = "image", [PIN_VIDEO] = "video", [PIN_STORY] = "multi-video(story page format)",
};

/* What pins lack, as often as the 4,082 public rows do: the gaps come together. */
static const struct shape {
	uint32_t rows;
	enum pin_kind kind;
	const char *description;	/* NULL: a real one */
	bool tags;
	bool image;			/* false: the download failed */
} shapes[] = {
	{ 3575, PIN_IMAGE, NULL,     true,  true },
	{ 206,  PIN_STORY, no_story, true,  true },
	{ 110,  PIN_VIDEO, NULL,     true,  true },
	{ 66,   PIN_STORY, no_story, true,  false },
	{ 60,   PIN_IMAGE, no_text,  true,  true },
	{ 24,   PIN_IMAGE, NULL,     false, true },
	{ 5,    PIN_STORY, no_story, false, true },
	{ 4,    PIN_VIDEO, no_text,  true,  true },
	{ 3,    PIN_VIDEO, NULL,     false, true },
};
enum { SHAPE_ROWS = 4053 };
/* The other 29: nothing of the page could be read. */
static const struct shape unread_shape = { 29, PIN_STORY, no_story, false, false };

/* Parts of JSON objects, ready to be copied. */
struct poster {
	struct slice pin;		/* ","poster_name":"…","follower_count":"… */
	struct slice geo;		/* ","latitude":… to the end */
	struct slice user;		/* ,"first_name":… to the end */
};

struct source_generated {
	struct source base;
	uint64_t seed;
	uint64_t count;
	struct arena arena;
	struct poster posters[POSTERS];
	uint16_t poster_of[PERIOD];	/* a poster as often as it has rows, shuffled */
	struct buf pin;
	struct buf geo;
	struct buf user;
};
static_assert(offsetof(struct source_generated, base) == 0, "base must be first");

/* The minimum of `rows` uniform draws from 0 to 1. */
static double draw_least(struct made_random *random, uint32_t rows)
{
	double u = (double)(made_next(random) >> 11) * 0x1p-53;

	return 1 - pow(1 - u, 1.0 / rows);
}

static size_t least_of(struct made_random *random, uint32_t rows, size_t count)
{
	return (size_t)(draw_least(random, rows) * (double)count);
}

/* "2020-08-28 03:52:47". Days to a date: H. Hinnant, "chrono-compatible low-level date algorithms". */
static void put_time(struct buf *out, uint32_t seconds)
{
	uint32_t of_day = seconds % 86400;
	uint32_t z = seconds / 86400 + 719468;
	uint32_t era = z / 146097;
	uint32_t doe = z % 146097;
	uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	uint32_t mp = (5 * doy + 2) / 153;
	uint32_t month = mp < 10 ? mp + 3 : mp - 9;
	uint32_t year = yoe + era * 400 + (month <= 2);
	uint32_t fields[] = { month, doy - (153 * mp + 2) / 5 + 1, of_day / 3600,
			      of_day / 60 % 60, of_day % 60 };
	char *at = buf_room(out, 19);

	if (!at)
		return;
	memcpy(at, "0000-00-00 00:00:00", 19);
	for (int i = 3; i >= 0; i--, year /= 10)
		at[i] = (char)('0' + year % 10);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		at[5 + 3 * i] = (char)('0' + fields[i] / 10);
		at[6 + 3 * i] = (char)('0' + fields[i] % 10);
	}
	buf_grew(out, 19);
}

/* A MySQL FLOAT as it prints: six significant digits and never an exponent. */
static void put_degrees(struct buf *out, struct made_random *random, uint32_t rows, double most)
{
	double degrees = (2 * draw_least(random, rows) - 1) * most;

	if (fabs(degrees) < 0.001)
		degrees = 0.0405555;
	buf_addf(out, "%.6g", (double)(float)degrees);
}

/* Deciles of the numbers before "k", "M" or nothing in the real rows. */
static void put_followers(struct buf *out, struct made_random *random, uint32_t rows)
{
	static const uint32_t plain[] = { 0, 5, 19, 38, 87, 157, 213, 317, 491, 760, 971 };
	static const uint32_t thousands[] = { 1, 4, 7, 15, 28, 46, 77, 138, 267, 565, 992 };
	static const uint32_t millions[] = { 1, 1, 2, 2, 2, 2, 2, 4, 5, 5, 9 };
	/* Of 100 posters with 1, 2 to 3, 4 to 29, more rows: those without unit, those with "M". */
	static const uint32_t share_plain[] = { 39, 9, 5, 7 };
	static const uint32_t share_millions[] = { 1, 2, 8, 33 };
	size_t class = rows < 2 ? 0 : rows < 4 ? 1 : rows < 30 ? 2 : 3;
	uint32_t percent = made_below(random, 100);
	uint32_t at = made_below(random, 10);
	const uint32_t *deciles = thousands;
	const char *unit = "k";
	uint32_t span;

	if (percent < share_plain[class]) {
		deciles = plain;
		unit = "";
	} else if (percent >= 100 - share_millions[class]) {
		deciles = millions;
		unit = "M";
	}
	span = deciles[at + 1] - deciles[at];
	buf_add_u64(out, deciles[at] + (span ? made_below(random, span) : 0));
	buf_add_str(out, unit);
}

static struct slice source_generated_keep(struct source_generated *made, struct buf *text)
{
	struct slice kept = arena_copy(&made->arena, buf_slice(text));

	buf_clear(text);
	return kept;
}

static void make_user(struct source_generated *made, struct made_random *random, uint32_t rows,
		      struct poster *poster)
{
	struct buf *out = &made->user;
	const char *first = first_names[least_of(random, rows, ARRAY_LEN(first_names))];
	const char *last = last_names[least_of(random, rows, ARRAY_LEN(last_names))];
	size_t age = AGE_FIRST + least_of(random, rows, AGE_LAST - AGE_FIRST + 1);
	size_t joined = joined_first + least_of(random, rows, joined_last - joined_first + 1);

	buf_addf(out, ",\"first_name\":\"%s\",\"last_name\":\"%s\",\"age\":%zu,\"date_joined\":\"",
		 first, last, age);
	put_time(out, (uint32_t)joined);
	buf_add_str(out, "\"}");
	poster->user = source_generated_keep(made, out);
}

/* Also puts the poster into as many of the slots, from `slot` on, as it has rows. */
static uint32_t make_poster(struct source_generated *made, struct made_random *random, uint16_t id,
			    uint32_t rows, uint32_t slot)
{
	struct poster *poster = &made->posters[id];
	struct buf *out = &made->geo;
	bool unread = id == UNREAD;

	buf_add_str(out, "\",\"latitude\":");
	put_degrees(out, random, rows, 90);
	buf_add_str(out, ",\"longitude\":");
	put_degrees(out, random, rows, 180);
	buf_addf(out, ",\"country\":\"%s\"}", countries[least_of(random, rows, ARRAY_LEN(countries))]);
	poster->geo = source_generated_keep(made, out);
	make_user(made, random, rows, poster);

	out = &made->pin;
	buf_add_str(out, "\",\"poster_name\":\"");
	if (unread)
		buf_add_str(out, no_user);
	else
		made_put_poster(out, random);
	buf_add_str(out, "\",\"follower_count\":\"");
	if (unread)
		buf_add_str(out, no_user);
	else
		put_followers(out, random, rows);
	poster->pin = source_generated_keep(made, out);
	for (uint32_t i = 0; i < rows; i++)
		made->poster_of[slot++] = id;
	return slot;
}

static void make_posters(struct source_generated *made)
{
	struct made_random random = { .state = made_mix(made->seed) };
	uint32_t slot = 0;
	uint16_t id = 0;

	for (size_t i = 0; i < ARRAY_LEN(multiplicity); i++)
		for (uint32_t n = 0; n < multiplicity[i].posters; n++)
			slot = make_poster(made, &random, id++, multiplicity[i].rows, slot);
	assert(id == UNREAD);
	slot = make_poster(made, &random, UNREAD, UNREAD_ROWS, slot);
	assert(slot == PERIOD);
	while (slot > 1) {	/* Fisher and Yates' shuffle */
		uint32_t at = made_below(&random, slot--);
		uint16_t moved = made->poster_of[slot];

		made->poster_of[slot] = made->poster_of[at];
		made->poster_of[at] = moved;
	}
}

static uint32_t category_of(uint64_t k)
{
	uint32_t at = (uint32_t)(k % PERIOD);
	uint32_t category = MADE_CATEGORIES - 1;

	while (category_first[category] > at)
		category--;
	return category;
}

static const struct shape *draw_shape(struct made_random *random, uint16_t poster)
{
	uint32_t at = made_below(random, SHAPE_ROWS);
	const struct shape *shape = shapes;

	if (poster == UNREAD)
		return &unread_shape;
	while (at >= shape->rows)
		at -= shape++->rows;
	return shape;
}

static void put_hex(struct buf *out, uint64_t value, unsigned digits)
{
	char *at = buf_room(out, digits);

	if (!at)
		return;
	for (unsigned i = digits; i-- > 0; value >>= 4)
		at[i] = "0123456789abcdef"[value & 15];
	buf_grew(out, digits);
}

/* A random UUID (RFC 4122, version 4). */
static void put_uuid(struct buf *out, struct made_random *random)
{
	uint64_t high = made_next(random);
	uint64_t low = made_next(random);

	put_hex(out, high >> 32, 8);
	buf_add_char(out, '-');
	put_hex(out, high >> 16, 4);
	buf_add(out, "-4", 2);
	put_hex(out, high, 3);
	buf_add_char(out, '-');
	put_hex(out, 8 | (low >> 62), 1);
	put_hex(out, low >> 48, 3);
	buf_add_char(out, '-');
	put_hex(out, low, 12);
}

static void put_image(struct buf *out, struct made_random *random, enum pin_kind kind)
{
	uint64_t high = made_next(random);
	uint64_t low = made_next(random);
	uint32_t at = made_below(random, 3659);	/* images among the public rows */

	buf_add_str(out, kind == PIN_VIDEO ? "https://i.pinimg.com/videos/thumbnails/originals/"
					   : "https://i.pinimg.com/originals/");
	for (unsigned i = 0; i < 3; i++) {
		put_hex(out, high >> (56 - 8 * i), 2);
		buf_add_char(out, '/');
	}
	put_hex(out, high, 16);
	put_hex(out, low, 16);
	if (kind == PIN_VIDEO)
		buf_add_str(out, ".0000001");
	if (kind != PIN_IMAGE || at < 3050)
		buf_add_str(out, ".jpg");
	else
		buf_add_str(out, at < 3635 ? ".png" : at < 3653 ? ".webp" : ".gif");
}

static void put_title(struct buf *out, struct made_random *random, const struct shape *shape,
		      uint32_t category)
{
	if (shape == &unread_shape)
		buf_add_str(out, no_title);
	else if (made_below(random, SHAPE_ROWS) > 0)	/* one is empty */
		made_put_title(out, random, category);
}

static void put_pin(struct source_generated *made, struct made_random *random, uint64_t k,
		    const struct shape *shape, const struct poster *poster)
{
	struct buf *out = &made->pin;
	uint32_t category = category_of(k);

	buf_add_str(out, "{\"index\":");
	buf_add_u64(out, k);
	buf_add_str(out, ",\"unique_id\":\"");
	put_uuid(out, random);
	buf_add_str(out, "\",\"title\":\"");
	put_title(out, random, shape, category);
	buf_add_str(out, "\",\"description\":\"");
	if (shape->description)
		buf_add_str(out, shape->description);
	else
		made_put_description(out, random, category);
	buf_add_slice(out, poster->pin);
	buf_add_str(out, "\",\"tag_list\":\"");
	if (shape->tags)
		made_put_tags(out, random, category);
	else
		buf_add_str(out, no_tags);
	buf_add_str(out, "\",\"is_image_or_video\":\"");
	buf_add_str(out, kind_name[shape->kind]);
	buf_add_str(out, "\",\"image_src\":\"");
	if (shape->image)
		put_image(out, random, shape->kind);
	else
		buf_add_str(out, no_image);
	buf_add_str(out, shape->image ? "\",\"downloaded\":1" : "\",\"downloaded\":0");
	buf_add_str(out, ",\"save_location\":\"Local save in /data/");
	buf_add_str(out, made_category[category]);
	buf_add_str(out, "\",\"category\":\"");
	buf_add_str(out, made_category[category]);
	buf_add_str(out, "\"}");
}

static void put_geo(struct source_generated *made, struct made_random *random, uint64_t k,
		    const struct poster *poster)
{
	struct buf *out = &made->geo;

	buf_add_str(out, "{\"ind\":");
	buf_add_u64(out, k);
	buf_add_str(out, ",\"timestamp\":\"");
	put_time(out, posted_first + made_below(random, posted_last - posted_first + 1));
	buf_add_slice(out, poster->geo);
}

static void put_user(struct source_generated *made, uint64_t k, const struct poster *poster)
{
	struct buf *out = &made->user;

	buf_add_str(out, "{\"ind\":");
	buf_add_u64(out, k);
	buf_add_slice(out, poster->user);
}

static enum err_code generated_row(struct source *source, uint64_t k, struct source_post *ret_post,
				   struct err *err)
{
	struct source_generated *made = (struct source_generated *)source;
	struct made_random random = { .state = made_mix(made->seed ^ made_mix(k + 1)) };
	uint16_t id = made->poster_of[k % PERIOD];
	const struct shape *shape = draw_shape(&random, id);
	const struct poster *poster = &made->posters[id];

	if (k >= made->count)
		return err_set(err, ERR_ABSENT, "there is no row %llu: the source has %llu rows",
			       (unsigned long long)k, (unsigned long long)made->count);
	buf_clear(&made->pin);
	buf_clear(&made->geo);
	buf_clear(&made->user);
	put_pin(made, &random, k, shape, poster);
	put_geo(made, &random, k, poster);
	put_user(made, k, poster);
	assert(!buf_full(&made->pin) && !buf_full(&made->geo) && !buf_full(&made->user));
	*ret_post = (struct source_post){
		buf_slice(&made->pin), buf_slice(&made->geo), buf_slice(&made->user),
	};
	return ERR_OK;
}

static enum err_code generated_count(struct source *source, uint64_t *ret_count, struct err *err)
{
	(void)err;
	*ret_count = ((struct source_generated *)source)->count;
	return ERR_OK;
}

/* The own order is that of the rows: n is k. */
static enum err_code generated_post_at(struct source *source, uint64_t n, uint64_t *ret_k,
				       struct source_post *ret_post, struct err *err)
{
	enum err_code code = generated_row(source, n, ret_post, err);

	if (code == ERR_OK)
		*ret_k = n;
	return code;
}

static void generated_free(struct source *source)
{
	struct source_generated *made = (struct source_generated *)source;

	buf_release(&made->pin);
	buf_release(&made->geo);
	buf_release(&made->user);
	arena_release(&made->arena);
	free(made);
}

static const struct source_ops generated_ops = {
	.name = "generated",
	.count = generated_count,
	.want = source_want_nothing,
	.ready = source_always_ready,
	.row = generated_row,
	.posts = generated_count,
	.post_at = generated_post_at,
	.free = generated_free,
};

struct source *source_generated_new(uint64_t seed, uint64_t count)
{
	struct source_generated *made = xcalloc(1, sizeof(*made));

	made->base.ops = &generated_ops;
	made->seed = seed;
	made->count = count;
	arena_init(&made->arena, PEOPLE_BYTES_MAX);
	buf_init(&made->pin, ROW_BYTES_MAX);
	buf_init(&made->geo, ROW_BYTES_MAX);
	buf_init(&made->user, ROW_BYTES_MAX);
	make_posters(made);
	return &made->base;
}
