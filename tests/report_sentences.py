# ruff: noqa: E501
"""Sentences of radiology reports, written for these tests, with what they say.

Before the bar stands a letter per status with the segments: P present, U uncertain, H historical, B benign, A absent,
N none of a tumor's. `\\n` is a line feed.
"""

WRITTEN_WITH_RULES = r"""
A5|No tumor is identified in segment V.
H6|CLINICAL HISTORY: HCC in segment 6.
N|Two segments of small bowel are dilated.
N|Lesion in segment 0.
P28|Lesions are present in segment 2 (14 mm) and segment 8 (21 mm).
P78|Metastasis at the hepatic dome.
P3 H|Status post right hepatectomy, now with a new metastasis in segment 3.
P1|Metastasis in the caudate.
P2345678|Metastases scattered in both hepatic lobes.
P5|5 cm mass in segment 5 compressing the gallbladder.
P6|Sgt VI metastasis.
B6|Lesion in segment 6 consistent with a cyst.
P6|Lesion in segment 6 without washout.
P8|Mass in segment\nVIII measuring 6 cm.
B8|Focal nodular hyperplasia in segment VIII.
P78|Two malignant-appearing nodules, one in each of segments 7 and 8.
A2|Complete disappearance of the metastasis in segment 2.
H7|History of HCC in segment 7 treated with radiofrequency ablation.
N|Nodule in segment 6 of the right lower lobe.
P8 U2|HCC in segment 8; possible second lesion in segment 2.
B5|Hypodense lesion in segment 5 is most compatible with a hemangioma.
A|Liver demonstrates no intrahepatic biliary dilatation or focal lesions.
A6|No lesion in segment 6.
U|Several subcentimeter hepatic hypodensities, too small to characterize.
P14|Infiltrating lesion of segments I and IV.
A|Absence of hypervascular liver lesions.
U6|? lesion segment 6.
P1|Segment 1 tumor encasing the inferior vena cava.
N|8 mm pulmonary nodule in the superior segment of the right lower lobe (S6).
A|There is no mass, cyst, or abscess in the liver.
P45|Centrally located tumor, segments IVb and V.
P67|Seg. VI/VII: hypervascular mass 5 cm.
U|Indeterminate liver lesion.
P123|Massive tumor of the left lateral sector and caudate lobe.
P6|Mass (seg 6) abutting the right kidney.
P3|Aside from a 1 cm metastasis in segment III, the liver is unremarkable.
B4|Hepatic adenoma in segment 4.
P58|Tumor confined to the right anterior section.
P7|Adenocarcinoma of the left lower lobe with a solitary liver metastasis in segment 7.
B8|Transient hepatic attenuation difference in segment 8.
U4|Focal fat versus metastasis in segment 4.
U7|Metastasis in segment 7 cannot be excluded.
N|Segment 3 rib fracture.
B|Scattered hepatic cysts.
P4|Mass adjacent to the falciform ligament in segment 4.
P5|Lesion in the fifth segment of the liver.
P6|Target lesion 1: segment 6, 34 mm.
B4|Focal fatty sparing in segment IVb.
H|Status post right hepatectomy.
P8 N|Nodule in segment 6 of the right lower lobe. Metastasis in segment 8 of the liver.
P567|Numerous lesions in segments 5, 6 and 7.
P8|S8 lesion, 22 mm, unchanged.
P3|NEW HYPOVASCULAR LESION IN SEGMENT III.
B6|Benign-appearing lesion in segment 6.
B7|Segment 7 hemangioma, 2 cm, with peripheral nodular enhancement.
A8|Segment 8 lesion is not seen on the current examination.
U3|Tiny lesion in segment III, not definitively characterized.
P7|1. Segment 7 hepatocellular carcinoma.
P58|Hypodense lesions in segments 5 and 8 have progressed since the prior study.
P5|segmentV lesion measuring 2cm.
P8|No lesion in the left lobe, but a 2 cm metastasis in segment 8.
A|Chest: 6 mm nodule in the right lower lobe. Abdomen: The liver, spleen and adrenals are normal. Kidneys: 2 cm exophytic mass, suspicious for RCC.
P5678|Infiltrative mass spanning segments 5 through 8.
A7|Previously noted lesion in segment 7 is no longer visible.
N|Apicoposterior segment nodule in the left upper lobe.
P6|FINDINGS: Lungs: Clear. Liver: There is a 3.2 cm mass in segment 6. Spleen: normal. IMPRESSION: Segment 6 hepatocellular carcinoma.
N|Lytic lesion at L4 and T8.
P7|Segment 7: 2.2 x 1.9 cm.
U8|LR-3 observation in segment 8.
N|Stage IV colon cancer.
P46|Lesions in segment IV and VI.
U4|A small hypodense lesion in segment 4 is too small to characterize.
P6|Segment VI lesion (series 2/image 4) measures 7 x 8 mm.
P6|Stable 3 cm mass in liver segment 6.
U7|Probable metastasis, segment 7.
P8|Lesion high in the right hepatic lobe (segment VIII) beneath the dome.
P234|Left hepatic lobe is replaced by tumor.
B234|Cysts in the left lobe.
P5|Hepatic mass, segment 5, compatible with metastatic disease.
P23|Confluent metastatic deposits in segments II/III.
P2345678|Multiple bilobar liver metastases.
P67|Lesion VI/VII, 41 mm.
U6|Perfusion anomaly or small HCC in segment 6.
P234|Several metastases in the left lobe of the liver.
H2|Surgical clips at the segment 2 resection margin.
P567|Numerous lesions within segments V, VI, & VII.
P12345678|Innumerable metastases throughout the liver.
B2|Simple cyst in segment 2.
N7|Segment 7 portal vein branch is patent.
P6|Segment 6 nodule persists.
P6 B2|Metastasis in segment 6 and simple cyst in segment 2.
H6|Status post resection of segment 6.
P7|Peripherally enhancing lesion in the posterior aspect of segment 7 next to the IVC.
P7|Not a simple cyst: solid mass in segment 7.
N|3 x 4 cm mass in the pancreatic tail.
A58|Segments 5 and 8 are free of disease.
N|See series 5 image 8.
U2|Nodule in segment 2 of uncertain significance.
H8|Treated lesion in segment 8 without viable tumor.
H8|Previously ablated lesion in segment 8.
P4|LI-RADS 5 observation in segment 4b.
A H5|CLINICAL INFORMATION: HCC segment 5, ablated 2019. FINDINGS: Liver: No new or recurrent lesion. IMPRESSION: No evidence of recurrence in the liver.
U5|A faint lesion in segment 5 could be metastatic.
P238|Metastases in segments 2, 3, as well as segment 8.
P1|Lesion in S1 of the liver.
P48|The larger of two lesions is located in segment IVa, the smaller in segment VIII.
H5|Resected metastasis from segment 5 in 2015.
A4|The segment IVa metastasis has resolved.
N|The bronchus of segment 6 is occluded by a mass.
P38|Comparison: CT of last year showed a lesion in segment 5. Findings: Hypodense lesions in segments III and VIII.
"""
"""These were at hand while the rules were written."""

HELD_OUT = r"""
P6|In segment 6 there is a 2 cm hypodense lesion.
P|Liver metastases are present.
U6|Subtle hypodensity in segment 6 may represent a metastasis.
N|Lesion in segment 9.
N|Right lung segment 8 consolidation.
N|Lingular segment 4 atelectasis of the left lung.
U6|Indeterminate hypodensity in segment 6.
H4|Indication: colorectal cancer with segment 4 metastasis, follow up.
P6|Lesion in segment VI, image 45 of series 3, 3 cm.
P6|Arterial phase hyperenhancement with washout in segment 6, LR-5.
P238|Metastases: S2, S3 and S8.
H67|Postsurgical changes of segment 6/7 resection.
N3|Mild intrahepatic bile duct dilatation in segment 3.
U2|Cannot exclude a small lesion in segment 2.
P2|The previously described segment 2 lesion now measures 28 mm, previously 21 mm.
U7|Rule out metastasis in segment 7.
P4|Hypodense mass in the left medial segment of the liver.
P|Multiple hepatic masses compatible with metastatic disease.
B8|Lobulated lesion in segment 8 with centripetal fill-in, typical of hemangioma.
P1|Caudate lobe mass measuring 4.1 x 3.0 cm.
U8|Possible metastasis in segment 8.
P58|Two metastases are seen, one in segment V and the other in segment VIII.
A|The liver is normal in size and attenuation without focal mass.
P8|Tumor thrombus extends from the segment 8 mass into the right portal vein.
A67|No recurrent tumor in segments 6 or 7.
P4|A 9 mm low-attenuation metastasis is noted in segment 4b.
A6|Resolution of the segment 6 metastasis.
P1234|Cholangiocarcinoma of the left liver with involvement of segments 1 to 4.
B58|Biliary hamartomas in segments 5 and 8.
P6|hepatic seg. 6 nodule, growing
P23|Enhancing mass in the left lateral section.
P8|Biopsy-proven cholangiocarcinoma in segment VIII invading the middle hepatic vein.
P26|IMPRESSION:\n1. Segment 2 metastasis, 2.1 cm (previously 1.8 cm).\n2. Segment 6 metastasis, new.\n3. Stable pulmonary nodules.
P47|INDICATION: Resected segment 2 metastasis. FINDINGS: Liver metastases in segments 4b and 7. Kidneys: No mass.
P78|Mass at the junction of segments VII and VIII.
N|Sclerotic metastasis in the S2 segment of the sacrum.
U58|Lesions in segments 5 and 8, cyst versus metastasis.
P4 B7|Segment 4: metastasis. Segment 7: cyst.
P3|A metastasis is again noted in segment 3.
P5|The lesion in segment 5 is highly concerning for metastasis.
B7|Pyogenic abscess in segment 7.
P6|Lesion in segment 6 which cannot be a cyst given its enhancement.
N|Thyroid: 1 cm nodule in the right lobe.
B4|Focal fatty infiltration in segment 4 adjacent to the falciform ligament.
B56|Hepatic cysts in segments 5 and 6, the largest 3 cm.
P68|Segment 6 contains a 3 cm mass and segment 8 a 1 cm satellite nodule.
P5|Segment 5 mass consistent with HCC.
P67|Large mass replacing the right posterior sector.
P58|Tumour in segments 5/8.
P6|No focal lesion other than the 3 cm metastasis in segment 6.
N|A short segment of jejunum shows wall thickening.
A|Negative for liver metastasis.
P4|Dominant mass in segment IVB with satellite nodules.
P4|Tumor occupying segments 4a and 4b.
P2|In segment II a new hypodense metastasis is demonstrated.
A|Liver: Unremarkable.
N|Disc bulge at L5-S1 with S1 nerve root impingement.
P5|a metastasis in the inferior aspect of segment 5, 8 mm
P8|Recurrent tumor along the resection margin in segment 8.
B2|There is a well-circumscribed water-density lesion in segment 2. This is consistent with a simple cyst.
H5|Ablation cavity in segment 5 without residual enhancement.
P6|3.4 cm mass in the right lobe, segment 6.
P67|Wedge-shaped infiltrating carcinoma in the right posterior segments.
P6|Right renal cyst. Liver: 2 cm metastasis in segment 6.
N|A 5 cm segment of sigmoid colon is thickened, suspicious for carcinoma.
P5|Mass in segment 5 suspicious for hepatocellular carcinoma.
N4|Atrophy of segment 4.
P5|Residual viable tumor at the ablation site in segment 5.
P7|There is a 15 mm arterially enhancing nodule in hepatic segment 7 with portal venous washout.
P6|Hypoattenuating 2.4 cm lesion in segment VI.
P8|Previously seen metastasis in segment 8 has decreased in size.
P7|Known segment 7 metastasis, no significant interval change.
A|No CT evidence for liver metastases.
N|Left renal lower pole mass, 6 cm.
B3|Calcified granuloma in segment 3.
P5|Metastasis in segment 5, no other hepatic lesion.
P5678|A large heterogeneous mass occupies most of the right hepatic lobe.
P7|Findings: Liver is cirrhotic with nodular contour. 2.6 cm arterially enhancing lesion with washout, segment 7. Splenomegaly. Impression: LR-5 lesion segment 7.
A|The liver enhances homogeneously. No suspicious hepatic lesion is identified.
P56|Lesion straddling segments 5 and 6.
P8|Lesion in segment 8 extending to the diaphragm and right lung base.
A234|The left hepatic lobe is unremarkable.
P2|Enlarging nodule in seg II.
N|Dilated bile ducts in the colon patient measured 8 mm.
P4|Ill-defined mass involving segment IVa near the left hepatic vein.
U6|Liver: Segment 6 shows a 7 mm hypodensity. This is too small to characterize. Gallbladder: Normal.
H3|Patient had a metastasectomy in segment 3.
P7|segment VII metastasis has grown from 12 mm to 19 mm.
H8|s/p TACE of segment 8 HCC.
A|No evidence of hepatic metastases.
P|Hepatocellular carcinoma with portal vein invasion.
U3|Equivocal focus of enhancement in segment 3, follow-up recommended.
A|No focal hepatic lesion.
P8|Subcapsular lesion in segment eight.
P7 B4|There is a hemangioma in segment 4a and a hepatocellular carcinoma in segment 7.
P4|Quadrate lobe lesion, 18 mm.
P67|right posterior hepatic segment mass
P8|Segment-8 nodule with capsule appearance.
P5 B2|LIVER: Segment 2 cyst, 14 mm. Segment 5 mass, 31 mm, with washout. PANCREAS: Normal. BONES: L3 hemangioma.
U5|Questionable nodule in segment V.
P678|HCC in segments 6-8.
H23|Prior left lateral segmentectomy with no recurrence; segments 2 and 3 are surgically absent.
B7|Hydatid cyst of segment 7.
P57|Lesions in segments 5 and 7, largest 4 cm.
N|Mid LAD segment 7 stenosis.
P4|The liver contains a 4 cm mass in segment IV. No additional lesions. Right kidney has a cyst in the lower pole.
P6|Interval development of a segment 6 metastasis.
N|Metastasis in segment XI.
P4|Couinaud segment IV metastasis.
B6|Nodule in segment 6, likely a flash-filling hemangioma.
"""
"""These were written at the same time and first read when the rules were done."""
