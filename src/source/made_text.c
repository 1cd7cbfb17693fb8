#include "source/made_text.h"

#include "base/mem.h"

#include <assert.h>

struct word {
	const char *ptr;
	size_t len;
};
#define W(s) { s, sizeof(s) - 1 }

enum { SUBJECTS = 24 };

const char *const made_category[MADE_CATEGORIES] = {
	"art", "beauty", "christmas", "diy-and-crafts", "education", "event-planning", "finance",
	"home-decor", "mens-fashion", "quotes", "tattoos", "travel", "vehicles",
};

static const struct word subject[MADE_CATEGORIES][SUBJECTS] = {
	{ W("canvas"), W("portrait"), W("sketch"), W("watercolor"), W("mural"), W("sculpture"),
	  W("palette"), W("brush"), W("charcoal"), W("pastel"), W("collage"), W("ink"),
	  W("acrylic"), W("gallery"), W("landscape"), W("doodle"), W("easel"), W("figure"),
	  W("mosaic"), W("print"), W("abstract"), W("drawing"), W("illustration"), W("pottery") },
	{ W("skincare"), W("lipstick"), W("makeup"), W("serum"), W("eyeliner"), W("blush"),
	  W("manicure"), W("hairstyle"), W("braid"), W("curls"), W("foundation"), W("mascara"),
	  W("moisturizer"), W("contour"), W("nails"), W("bangs"), W("balayage"), W("cleanser"),
	  W("routine"), W("glow"), W("concealer"), W("highlighter"), W("toner"), W("ponytail") },
	{ W("wreath"), W("ornament"), W("garland"), W("mistletoe"), W("stocking"), W("tree"),
	  W("lights"), W("cookies"), W("gingerbread"), W("snowman"), W("candle"), W("ribbon"),
	  W("gifts"), W("mantel"), W("advent"), W("sleigh"), W("reindeer"), W("holly"),
	  W("wrapping"), W("snowflake"), W("centerpiece"), W("bauble"), W("tinsel"),
	  W("nativity") },
	{ W("macrame"), W("crochet"), W("yarn"), W("resin"), W("origami"), W("felt"),
	  W("stencil"), W("glitter"), W("tutorial"), W("template"), W("fabric"), W("quilt"),
	  W("candle"), W("soap"), W("beads"), W("embroidery"), W("cardboard"), W("pallet"),
	  W("paint"), W("scrapbook"), W("slime"), W("clay"), W("wood"), W("twine") },
	{ W("classroom"), W("worksheet"), W("phonics"), W("preschool"), W("lesson"),
	  W("teacher"), W("reading"), W("math"), W("science"), W("homeschool"), W("flashcards"),
	  W("bulletin"), W("alphabet"), W("spelling"), W("kindergarten"), W("project"),
	  W("notebook"), W("printable"), W("students"), W("handwriting"), W("geography"),
	  W("grammar"), W("chart"), W("activity") },
	{ W("wedding"), W("banquet"), W("invitation"), W("centerpiece"), W("venue"),
	  W("bouquet"), W("reception"), W("backdrop"), W("balloon"), W("catering"), W("bridal"),
	  W("shower"), W("checklist"), W("decoration"), W("timeline"), W("seating"), W("menu"),
	  W("favors"), W("toast"), W("birthday"), W("budget"), W("guest"), W("tent"),
	  W("planner") },
	{ W("budget"), W("savings"), W("investing"), W("dividend"), W("retirement"),
	  W("mortgage"), W("credit"), W("debt"), W("income"), W("expenses"), W("stocks"),
	  W("cashflow"), W("frugal"), W("paycheck"), W("planner"), W("spreadsheet"),
	  W("insurance"), W("bills"), W("portfolio"), W("emergency"), W("fund"), W("interest"),
	  W("salary"), W("tracker") },
	{ W("farmhouse"), W("sofa"), W("curtain"), W("bedroom"), W("kitchen"), W("bathroom"),
	  W("rug"), W("shelf"), W("mirror"), W("lamp"), W("fireplace"), W("pillow"),
	  W("wallpaper"), W("entryway"), W("pantry"), W("wainscoting"), W("armchair"),
	  W("console"), W("nursery"), W("balcony"), W("cabinet"), W("shiplap"), W("headboard"),
	  W("dining") },
	{ W("blazer"), W("sneakers"), W("denim"), W("suit"), W("loafers"), W("jacket"),
	  W("chinos"), W("tie"), W("watch"), W("streetwear"), W("hoodie"), W("boots"),
	  W("outfit"), W("shirt"), W("overcoat"), W("trousers"), W("belt"), W("beanie"),
	  W("sweater"), W("cardigan"), W("bomber"), W("pocket"), W("square"), W("lookbook") },
	{ W("wisdom"), W("happiness"), W("courage"), W("friendship"), W("motivation"),
	  W("gratitude"), W("kindness"), W("strength"), W("dreams"), W("healing"), W("patience"),
	  W("success"), W("thoughts"), W("poetry"), W("lyrics"), W("truth"), W("faith"),
	  W("journey"), W("silence"), W("letting"), W("forgiveness"), W("hope"), W("moments"),
	  W("heart") },
	{ W("sleeve"), W("forearm"), W("ink"), W("mandala"), W("dragon"), W("compass"),
	  W("rose"), W("lettering"), W("dotwork"), W("shoulder"), W("wrist"), W("skull"),
	  W("phoenix"), W("butterfly"), W("linework"), W("lotus"), W("serpent"), W("feather"),
	  W("geometric"), W("ankle"), W("anchor"), W("swallow"), W("blackwork"), W("stencil") },
	{ W("beach"), W("island"), W("itinerary"), W("hiking"), W("backpacking"), W("waterfall"),
	  W("passport"), W("roadtrip"), W("mountains"), W("hostel"), W("sunset"), W("temple"),
	  W("bucketlist"), W("cruise"), W("village"), W("coast"), W("lagoon"), W("airfare"),
	  W("camping"), W("museum"), W("canyon"), W("vineyard"), W("ferry"), W("lookout") },
	{ W("roadster"), W("sedan"), W("motorcycle"), W("engine"), W("muscle"), W("vintage"),
	  W("truck"), W("racing"), W("convertible"), W("chrome"), W("turbo"), W("garage"),
	  W("coupe"), W("wagon"), W("offroad"), W("supercar"), W("chassis"), W("scooter"),
	  W("camper"), W("restoration"), W("exhaust"), W("pickup"), W("dashboard"), W("rally") },
};
static const struct word filler[] = {
	W("the"), W("and"), W("for"), W("your"), W("with"), W("you"), W("this"), W("that"),
	W("from"), W("easy"), W("best"), W("simple"), W("ideas"), W("how"), W("make"),
	W("these"), W("to"), W("in"), W("of"), W("a"), W("it"), W("is"), W("are"), W("can"),
	W("our"), W("more"), W("new"), W("all"), W("most"), W("will"), W("what"), W("when"),
	W("one"), W("every"), W("great"), W("perfect"), W("beautiful"), W("favorite"),
	W("modern"), W("little"), W("tips"), W("ways"), W("some"), W("just"), W("look"),
	W("love"), W("time"), W("want"), W("need"), W("find"), W("here"), W("about"), W("using"),
	W("before"), W("after"), W("without"), W("into"), W("over"),
};
static const struct word adjective[] = {
	W("easy"), W("modern"), W("vintage"), W("rustic"), W("simple"), W("cozy"), W("classic"),
	W("creative"), W("elegant"), W("colorful"), W("tiny"), W("bold"), W("minimal"),
	W("festive"), W("handmade"), W("natural"), W("soft"), W("bright"), W("dark"), W("small"),
	W("outdoor"), W("trendy"), W("summer"), W("winter"),
};
static const struct word heading[] = {
	W("ideas"), W("inspiration"), W("design"), W("style"), W("tips"), W("projects"),
	W("guide"), W("looks"), W("trends"), W("hacks"), W("patterns"), W("essentials"),
	W("basics"), W("favorites"), W("collection"),
};
static const struct word syllable[] = {
	W("ba"), W("be"), W("cal"), W("co"), W("da"), W("del"), W("fi"), W("gra"), W("ho"), W("in"),
	W("jo"), W("ka"), W("lin"), W("lo"), W("ma"), W("mer"), W("na"), W("no"), W("ori"), W("pa"),
	W("que"), W("ra"), W("ro"), W("sa"), W("sten"), W("ta"), W("tri"), W("va"), W("vel"), W("zu"),
};
static const struct word trade[] = {
	W("Studio"), W("Home"), W("Diaries"), W("Design"), W("Magazine"), W("Journal"), W("Made"),
	W("Living"), W("Daily"), W("House"), W("Collective"), W("Blog"), W("Lifestyle"), W("Shop"),
	W("Co."), W("& Co"), W("Official"), W("Projects"), W("World"), W("at Home"),
};

/*
 * What makes a text hard to carry: escapes, other scripts, characters of two
 * UTF-16 units, damage that real rows have. `weight` is in 10,000 texts.
 */
struct spice {
	uint32_t weight;
	uint32_t chars;
	const char *text;
	bool at_end;
};

static const struct spice title_spices[] = {
	{ 60, 7, "\\\"happy\\\"", false },
	{ 48, 8, "\\\"basic\\\" ", false },
	{ 60, 4, "Glow🤍", false },
	{ 50, 2, "✨🎄", false },
	{ 12, 5, "\\nRoom", false },
	{ 8, 2, "\\n\\n", true },
	{ 24, 4, "DIY\u00a0", false },
	{ 20, 1, " ", true },
	{ 3, 2, "\\\\o", false },
	{ 3, 5, "&#33;", false },
	{ 2, 1, "\ufffd", false },
	{ 2, 1, "\xc2\x99", true },
	{ 200, 8, "Women’s", false },
	{ 180, 4, "Café", false },
	{ 150, 1, "–", false },
	{ 150, 5, "Décor", false },
	{ 60, 9, "Идеи дома", false },
	{ 60, 5, "コーデ", false },
	{ 60, 1, "…", true },
	{ 500, 1, "|", false },
	{ 350, 1, "&", false },
	{ 250, 1, "/", false },
};
static const struct spice description_spices[] = {
	{ 150, 6, "\\\"easy\\\"", false },
	{ 100, 16, "\\\"the real thing\\\"", false },
	{ 50, 2, "💘?", false },
	{ 20, 9, "&#128077;", false },
	{ 20, 3, "👉🏽!", false },
	{ 600, 4, "it’s", false },
	{ 300, 1, "—", false },
	{ 150, 9, "“at last”", false },
	{ 120, 4, "déjà", false },
	{ 100, 1, "•", false },
	{ 40, 12, "своими рукам", false },
	{ 20, 4, "かわいい", false },
	{ 330, 1, "|", false },
	{ 370, 1, "&", false },
};
static const struct spice tag_spices[] = {
	{ 60, 6, "Décoré", false },
	{ 30, 7, "Mañana!", false },
	{ 70, 9, "Mix & Mat", false },
};
static const struct spice poster_spices[] = {
	{ 120, 4, "Zoë ", false },
	{ 60, 6, "Élan .", false },
	{ 20, 5, "✿◕‿◕✿", false },
	{ 17, 1, "🌿", false },
	{ 10, 5, "Дарья", false },
	{ 2, 7, "\\\"Live\\\" ", false },
	{ 184, 1, " ", true },
};

/* Deciles of the lengths of the real rows, in characters. */
enum { DECILES = 11 };
static const uint32_t title_chars[DECILES] = { 3, 21, 30, 38, 44, 50, 56, 61, 67, 79, 199 };
static const uint32_t whole_chars[DECILES] = { 3, 41, 67, 91, 114, 128, 137, 144, 152, 156, 178 };
static const uint32_t poster_chars[DECILES] = { 2, 8, 10, 12, 14, 16, 18, 21, 30, 50, 114 };

/* A long description is shown up to here, then "…" and a no-break space. */
enum { CUT_CHARS = 177, CUT_PERCENT = 39 };

static uint32_t draw_chars(struct made_random *random, const uint32_t deciles[DECILES])
{
	uint32_t at = made_below(random, DECILES - 1);

	return deciles[at] + made_below(random, deciles[at + 1] - deciles[at]);
}

static const struct word *draw_word(struct made_random *random, const struct word *words,
				    size_t count)
{
	return &words[made_below(random, (uint32_t)count)];
}

/* NULL: the text stays plain. */
static const struct spice *draw_spice(struct made_random *random, const struct spice *spices,
				      size_t count)
{
	uint32_t at = made_below(random, 10000);

	for (size_t i = 0; i < count; i++) {
		if (at < spices[i].weight)
			return &spices[i];
		at -= spices[i].weight;
	}
	return NULL;
}

/* A text on its way: blanks between words, and room for `left` more characters. */
struct writing {
	struct buf *out;
	struct made_random *random;
	const struct spice *spice;	/* still to be put in, or NULL */
	uint32_t left;
	bool begun;
};

static void capitalise(struct buf *out, size_t at)
{
	char *c = &out->ptr[at];

	if (at < out->len && *c >= 'a' && *c <= 'z')
		*c = (char)(*c - 'a' + 'A');
}

/* False: no room for it. A first word (always ASCII) is cut instead: no text stays empty. */
static bool put_word(struct writing *writing, const struct word *word, uint32_t chars, bool capital)
{
	struct word first = { word->ptr, writing->left };

	uint32_t need = chars + (writing->begun ? 1 : 0);

	if (need > writing->left) {
		if (writing->begun || writing->left == 0)
			return false;
		word = &first;
		need = writing->left;
	}
	if (writing->begun)
		buf_add_char(writing->out, ' ');
	buf_add(writing->out, word->ptr, word->len);
	if (capital)
		capitalise(writing->out, writing->out->len - word->len);
	writing->left -= need;
	writing->begun = true;
	return true;
}

/* Room is kept for a spice at the end before the words are put. */
static void made_text_begin(struct writing *writing)
{
	const struct spice *spice = writing->spice;

	if (spice && writing->left < spice->chars + 8)
		writing->spice = NULL;
	else if (spice && spice->at_end)
		writing->left -= spice->chars;
}

static void put_spice(struct writing *writing)
{
	const struct spice *spice = writing->spice;
	struct word word;

	if (!spice || spice->at_end)
		return;
	word = (struct word){ spice->text, strlen(spice->text) };
	(void)put_word(writing, &word, spice->chars, false);
	writing->spice = NULL;
}

static void made_text_finish(struct writing *writing)
{
	if (writing->spice && writing->spice->at_end)
		buf_add_str(writing->out, writing->spice->text);
}

static const struct word *draw_prose(struct made_random *random, uint32_t category)
{
	if (made_below(random, 100) < 40)
		return draw_word(random, subject[category], SUBJECTS);
	return draw_word(random, filler, ARRAY_LEN(filler));
}

void made_put_title(struct buf *out, struct made_random *random, uint32_t category)
{
	struct writing writing = {
		.out = out, .random = random, .left = draw_chars(random, title_chars),
		.spice = draw_spice(random, title_spices, ARRAY_LEN(title_spices)),
	};
	bool headline = made_below(random, 4) > 0;
	const struct word *word;

	made_text_begin(&writing);
	word = draw_word(random, subject[category], SUBJECTS);
	do {
		if (!put_word(&writing, word, (uint32_t)word->len, headline || !writing.begun))
			break;
		put_spice(&writing);
		word = draw_prose(random, category);
	} while (true);
	made_text_finish(&writing);
}

/* The same sentence goes on until the room is used up, the last word cut where it ends. */
static void put_cut(struct writing *writing, const struct word *word)
{
	struct word part = *word;

	if (writing->left > 1) {
		part.len = writing->left - 1;
		(void)put_word(writing, &part, (uint32_t)part.len, false);
	}
	buf_add_str(writing->out, "…\u00a0");
}

void made_put_description(struct buf *out, struct made_random *random, uint32_t category)
{
	bool cut = made_below(random, 100) < CUT_PERCENT;
	struct writing writing = {
		.out = out, .random = random,
		.left = cut ? CUT_CHARS : draw_chars(random, whole_chars),
		.spice = draw_spice(random, description_spices, ARRAY_LEN(description_spices)),
	};
	const struct word *word;

	made_text_begin(&writing);
	word = draw_prose(random, category);
	while (put_word(&writing, word, (uint32_t)word->len, !writing.begun)) {
		put_spice(&writing);
		word = draw_prose(random, category);
	}
	if (cut)
		put_cut(&writing, word);
}

static void put_tag(struct buf *out, struct made_random *random, uint32_t category)
{
	const struct word *words[3] = {
		draw_word(random, adjective, ARRAY_LEN(adjective)),
		draw_word(random, subject[category], SUBJECTS),
		draw_word(random, heading, ARRAY_LEN(heading)),
	};
	uint32_t form = made_below(random, 4);
	size_t first = form == 0 ? 1 : 0;
	size_t last = form < 2 ? 3 : 2;

	for (size_t i = first; i < last; i++) {
		if (i > first)
			buf_add_char(out, ' ');
		buf_add(out, words[i]->ptr, words[i]->len);
		capitalise(out, out->len - words[i]->len);
	}
}

void made_put_tags(struct buf *out, struct made_random *random, uint32_t category)
{
	const struct spice *spice = draw_spice(random, tag_spices, ARRAY_LEN(tag_spices));
	uint32_t odd = made_below(random, 1000);
	uint32_t count = odd < 993 ? 9 : odd < 998 ? 3 + made_below(random, 6) : 11;

	for (uint32_t i = 0; i < count; i++) {
		if (i > 0)
			buf_add_char(out, ',');
		if (i == 1 && spice)
			buf_add_str(out, spice->text);
		else
			put_tag(out, random, category);
	}
}

/* A made-up name: two to four syllables. */
static void made_text_put_name(struct writing *writing)
{
	char name[24];
	struct word word = { name, 0 };
	uint32_t count = 2 + made_below(writing->random, 3);

	for (uint32_t i = 0; i < count; i++) {
		const struct word *part = draw_word(writing->random, syllable, ARRAY_LEN(syllable));

		assert(word.len + part->len <= sizeof(name));
		memcpy(name + word.len, part->ptr, part->len);
		word.len += part->len;
	}
	(void)put_word(writing, &word, (uint32_t)word.len, true);
}

void made_put_poster(struct buf *out, struct made_random *random)
{
	static const struct word bar = W("|");
	struct writing writing = {
		.out = out, .random = random, .left = draw_chars(random, poster_chars),
		.spice = draw_spice(random, poster_spices, ARRAY_LEN(poster_spices)),
	};
	bool subtitle = writing.left >= 26 && made_below(random, 100) < 68;
	const struct word *word;

	made_text_begin(&writing);
	made_text_put_name(&writing);
	put_spice(&writing);
	made_text_put_name(&writing);
	word = draw_word(random, trade, ARRAY_LEN(trade));
	if (subtitle && put_word(&writing, word, (uint32_t)word->len, true))
		word = &bar;
	while (put_word(&writing, word, (uint32_t)word->len, true))
		word = draw_prose(random, made_below(random, MADE_CATEGORIES));
	made_text_finish(&writing);
}
