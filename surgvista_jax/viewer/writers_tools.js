// The files that the page writes for annotation tools: Label Studio's tasks and ELAN's documents.

const LABEL_STUDIO_FPS = 25;

// Frames a second at which Label Studio is to count: a multiple of the moments', so that each
// border is a whole frame.
function labelStudioRate(fps) {
  return fps * Math.max(1, Math.round(LABEL_STUDIO_FPS / fps));
}

// The labelling configuration of a project that takes these tasks.
function labelStudioConfig(operation) {
  const labels = operation.classes.map((_, id) => `<Label value="${xmlText(className(operation, id))}"/>`);
  return (
    '<View><Video name="video" value="$video" frameRate="$fps"/>' +
    `<TimelineLabels name="labels" toName="video">${labels.join("")}</TimelineLabels></View>`
  );
}

// One task with a region for each segment; frames are counted from 1, both ends belong to it
// (https://labelstud.io/tags/timelinelabels). What the model said is a prediction, what was mended
// an annotation, of which the mended regions have a note.
function toLabelStudio(operation) {
  const rate = labelStudioRate(operation.fps);
  const mended = mendedStretches(operation);
  const regions = (segments, marks) =>
    segments.filter(isLabelled).map((segment, index) => {
      const note = mendedWithin(segment, marks);
      const start = Math.round(segment.start * rate) + 1;
      return {
        id: `segment${index + 1}`,
        from_name: "labels",
        to_name: "video",
        type: "timelinelabels",
        ...(segment.confidence == null ? {} : { score: Number(segment.confidence.toFixed(4)) }),
        ...(note ? { meta: { text: [`mended ${note}`] } } : {}),
        value: {
          ranges: [{ start, end: Math.max(start, Math.round(segment.end * rate)) }],
          timelinelabels: [className(operation, segment.label)],
        },
      };
    });
  labelledSegments(operation);
  const task = {
    data: {
      video: operation.video,
      surgvista_video: operation.video,
      fps: rate,
      labelling_config: labelStudioConfig(operation),
    },
    predictions: [{ model_version: operation.model, result: regions(operation.segments, []) }],
  };
  if (operation.mended) task.annotations = [{ result: regions(operation.labels.segments, mended) }];
  return JSON.stringify([task], null, 1) + "\n";
}

const ELAN_STEREOTYPES = [
  ["Time_Subdivision", "Time subdivision of parent annotation's time interval, no time gaps allowed within this interval"],
  ["Symbolic_Subdivision", "Symbolic subdivision of a parent annotation. Annotations refering to the same parent are ordered"],
  ["Symbolic_Association", "1-1 association with a parent annotation"],
  ["Included_In", "Time alignable annotations within the parent annotation's time interval, gaps are allowed"],
];

// The tiers of a document: of one label a moment a single one, called as the task (where there is
// none, `label`); of several a tier for each class, for annotations of a tier may not overlap. A
// further tier says what the model had where something was mended.
function elanTiers(operation) {
  const segments = labelledSegments(operation);
  const named = segments.map((s) => ({ ...s, text: className(operation, s.label) }));
  if (operation.labelKind !== "single") {
    // Names of tiers differ and are not empty, whatever the classes are called.
    const taken = new Set();
    const tiers = operation.classes.map((_, id) => {
      let name = className(operation, id) || "label";
      while (taken.has(name)) name += "_";
      taken.add(name);
      return { name, type: "labels", annotations: named.filter((s) => s.label === id) };
    });
    return tiers.filter((tier) => tier.annotations.length);
  }
  const tiers = [{ name: operation.task || "label", type: "labels", annotations: named }];
  const mended = mendedStretches(operation);
  if (mended.length) {
    const said = (m) => (m.label < 0 ? "no label" : className(operation, m.label));
    const annotations = mended.map((m) => ({ ...m, text: said(m) }));
    tiers.push({ name: "mended (was)", type: "notes", annotations });
  }
  return tiers;
}

// The ELAN Annotation Format 3.0 (https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf),
// with the classes as a controlled vocabulary, so that ELAN offers them.
function toElan(operation, date = new Date()) {
  const tiers = elanTiers(operation);
  const media = encodeURI(oneLine(operation.video)).replace(/[?#]/g, encodeURIComponent);
  const slots = [];
  const parts = [];
  let count = 0;
  for (const tier of tiers) {
    parts.push(`  <TIER LINGUISTIC_TYPE_REF="${tier.type}" TIER_ID="${xmlText(tier.name)}">`);
    for (const { start, end, text } of tier.annotations) {
      count += 1;
      const [from, to] = [`ts${2 * count - 1}`, `ts${2 * count}`];
      slots.push([from, milliseconds(start)], [to, milliseconds(end)]);
      parts.push(
        `    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a${count}" TIME_SLOT_REF1="${from}" TIME_SLOT_REF2="${to}">`,
        `      <ANNOTATION_VALUE>${xmlText(text)}</ANNOTATION_VALUE>`,
        "    </ALIGNABLE_ANNOTATION></ANNOTATION>",
      );
    }
    parts.push("  </TIER>");
  }
  slots.sort((a, b) => a[1] - b[1]);
  const entries = operation.classes.map(
    (_, id) =>
      `    <CV_ENTRY_ML CVE_ID="c${id}"><CVE_VALUE DESCRIPTION="" LANG_REF="und">` +
      `${xmlText(className(operation, id))}</CVE_VALUE></CV_ENTRY_ML>`,
  );
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<ANNOTATION_DOCUMENT AUTHOR="${xmlText(operation.model)}" DATE="${date.toISOString().slice(0, 19)}+00:00" FORMAT="3.0" VERSION="3.0"`,
    '    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">',
    '  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">',
    `    <MEDIA_DESCRIPTOR MEDIA_URL="${xmlText(media)}" MIME_TYPE="video/mp4" RELATIVE_MEDIA_URL="./${xmlText(media)}"/>`,
    `    <PROPERTY NAME="lastUsedAnnotationId">${count}</PROPERTY>`,
    "  </HEADER>",
    "  <TIME_ORDER>",
    ...slots.map(([id, value]) => `    <TIME_SLOT TIME_SLOT_ID="${id}" TIME_VALUE="${value}"/>`),
    "  </TIME_ORDER>",
    ...parts,
    '  <LINGUISTIC_TYPE CONTROLLED_VOCABULARY_REF="classes" GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="labels" TIME_ALIGNABLE="true"/>',
    '  <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="notes" TIME_ALIGNABLE="true"/>',
    '  <LANGUAGE LANG_DEF="http://cdb.iso.org/lg/CDB-00130975-001" LANG_ID="und" LANG_LABEL="undetermined (und)"/>',
    ...ELAN_STEREOTYPES.map(
      ([name, text]) => `  <CONSTRAINT DESCRIPTION="${xmlText(text)}" STEREOTYPE="${name}"/>`,
    ),
    '  <CONTROLLED_VOCABULARY CV_ID="classes">',
    '    <DESCRIPTION LANG_REF="und"/>',
    ...entries,
    "  </CONTROLLED_VOCABULARY>",
    "</ANNOTATION_DOCUMENT>",
    "",
  ].join("\n");
}
