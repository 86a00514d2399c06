"""Sentences of radiology reports of other wording, written for these tests, with what they say.

Before the bar stands a letter per status with the segments: P present, U uncertain, H historical, B benign, A absent,
N none of a tumor's. `\\n` is a line feed.
"""

LATER = r"""
P6|Interval increase in size of the known HCC in segment VI, now 4.5 cm, previously 3.1 cm.
P7|A rim-enhancing 3.7-cm lesion is centered in segment 7.
P48|Two hypervascular tumors: 2.2 cm (segment 4A) and 1.3 cm (segment 8).
P58|Hepatocellular carcinoma, segments V/VIII, with tumor thrombus in the right anterior portal vein.
P2|Segment II demonstrates a 12 mm low attenuation nodule.
P6|The largest metastasis, in segment 6, measures 5.2 x 4.8 cm.
P23|Multiple hypodense lesions are noted within the left lateral segment.
P7|Exophytic mass arising from segment 7.
P1|Large tumor centered on the caudate lobe displacing the portal vein.
P5|A 17 mm segment 5 lesion shows arterial enhancement and washout.
P45678|Infiltrative HCC involving the right lobe and segment 4.
P68|Metastatic lesions in hepatic segments 6 & 8 have increased.
P7|There has been interval growth of the segment 7 lesion.
P3|Hepatic metastasis in segment 3 is unchanged; no new lesions.
H8|Persistent 9 mm hypodensity in segment 8, compatible with treated metastasis.
P6|New 11 mm hypoenhancing lesion seg 6 suspicious for met.
P57|Lesions seg V 12mm, seg VII 23mm.
P4|Segment 4A/4B lesion with capsular retraction, consistent with cholangiocarcinoma.
P238|Liver mets in segs 2, 3 and 8.
P67|Right posterior section tumour, 6.1 cm.
P4|Medial segment of the left lobe contains a 2 cm metastasis.
P58|Tumor in the anterior segment of the right hepatic lobe.
P8|There is a solid lesion in the superior right lobe, segment 8.
P6|Solitary liver lesion (Couinaud VI) measuring 26 mm.
P46|Metastases: segment 4b 15 mm; segment 6 22 mm.
P5|Liver lesion #1 (seg 5) measures 31 mm.
P678|Multifocal HCC in segments VI through VIII.
P7|Bulky necrotic metastasis in the seventh hepatic segment.
P6|No change in the 2 cm segment 6 metastasis.
P4|No evidence of metastasis except for a 1.4 cm nodule in segment IV.
P5|Segment 5 mass is again seen and is not significantly changed.
P8|Although small, the nodule in segment 8 is consistent with a metastasis.
P6|While the segment 2 metastasis has resolved, the segment 6 metastasis has enlarged.
P3 B7|Stable hemangioma in segment 7. Metastasis in segment 3 has progressed.
P5 A|Single metastasis in segment 5. The remainder of the liver is free of lesions.
P4|The patient has a segment 4 hepatocellular carcinoma which is LI-RADS 5.
P6|Right hepatic lobe mass located predominantly in segment 6.
P7 H4|Status post wedge resection of segment 4. New metastasis in segment 7.
P8|Enhancing nodular focus along the ablation zone in segment 8, consistent with local recurrence.
P2|Post right hemihepatectomy; a 2 cm recurrence is seen in segment 2.
P3456|Lesions involve segments 3-6.
P6|Arterially hyperenhancing mass (6.3 cm) in the inferior right lobe (segment VI).
P258|There are three lesions located in segments 2, 5, and 8, respectively.
P5|segment 5, 2.0 cm hypervascular lesion, washout on delayed phase
P1|A nodule is seen in segment one of the liver.
P78|Tumor located between segments 7 and 8.
P4|Mass in the left lobe (segment 4) obstructing the left hepatic duct.
P8|18 mm LR-5 lesion in segment 8.
P6|HCC (segment VI).
P12345678|Diffuse metastatic disease throughout the liver.
P2345678|Bilobar metastases.
P5678|Right lobe metastases.
A|No hepatic lesions identified.
A6|Segment 6 shows no focal abnormality.
A|Hepatic parenchyma is homogeneous without mass.
A|No hypervascular or washout lesion is seen in the liver.
A3|The previously described hypodensity in segment 3 is not seen today.
A4|There is no longer a visible lesion in segment IVB.
A|The liver is free of metastases.
A78|No residual or recurrent disease in segments VII and VIII.
A|Liver: No mass. No biliary dilatation.
A5|Segment 5 metastasis has completely resolved since the prior examination.
U6|Hypodense lesion in segment 6, indeterminate.
U7|Subcentimeter low-density focus in segment 7, statistically likely a cyst but too small to characterize.
U4|Hypoattenuation in segment 4 may be focal fat, but metastasis is not excluded.
U8|Possible early HCC, segment VIII.
U5|Lesion in segment 5, questionable for metastasis.
U2|Nonspecific hypodensity in segment 2.
U6|Segment 6 LR-4 nodule.
U58|Ill-defined hypodensities in segments 5 and 8 which may represent metastases or perfusion change.
U7|Vague hypodensity in segment 7, MRI is recommended to exclude metastasis.
U3|Small lesion in segment 3 which is incompletely evaluated.
H6|Patient with prior segment 6 resection for colorectal metastases.
H7|Segment 7 ablation zone, unchanged.
H58|Prior TACE to segments 5 and 8 HCC.
H|Post left hepatectomy changes.
H4|History: Metastasis segment 4, treated with SBRT.
H6|The segment 6 metastasis was resected.
H78|Surgical defect in segments 7 and 8 from prior metastasectomies.
B4|Geographic fat in segment 4.
B6|A 3 cm cavernous hemangioma occupies segment 6.
B2|Hypodense lesion in segment 2, likely a cyst.
B7|Segment 7 lesion has imaging characteristics of FNH.
B58|Simple-appearing cysts in segments 5 and 8.
B3|Hypodensity in segment 3 represents a benign cyst.
B8|Segment 8 perfusion anomaly.
B|Multiple hepatic cysts are noted.
B6|Small calcification in segment 6.
B5|Arterial enhancing focus in segment 5, most likely a vascular shunt.
N|Superior segment right lower lobe nodule 8 mm.
N|Segmental pulmonary embolus in the right lower lobe segment 9.
N|Long segment narrowing of the terminal ileum, 6 cm.
N|Spondylosis L4-5, S1 radiculopathy.
N|Grade IV renal laceration with 3 segments devascularized.
N|Segment 2 of the left anterior descending artery is calcified.
N|Nodule in the right thyroid lobe.
N|Right kidney segment 3 cyst in the interpolar region.
N|3 mm nodule in the anterior segment of the right upper lobe.
N|Sacral segment S3 fracture.
N|Ground-glass opacity in segment 4 of the lung.
N|Segment 10 lesion.
N8|The segment 8 hepatic vein is enlarged.
N|C5-C6 disc herniation, segment instability.
N|A 4 cm aneurysm in segment 2 of the vertebral artery.
P8|HCC S8 2.1 cm.
P45|Lesion in S4/5.
P58|S5/S8 HCC, 4 cm.
P6|Segment#6 lesion.
P6|Segment No. 6 metastasis.
P7|LIVER: SEGMENT VII MASS MEASURING 4.5 X 3.9 CM WITH ARTERIAL ENHANCEMENT.
P56|Segments five and six contain metastases.
P4|Lesion of the fourth segment.
P78|Lesions in the 7th and 8th segments.
P6|Liver segment-VI metastasis.
P6|Metastasis of liver segment VI (SE 4 IM 33).
P678|Tumor infiltrates segments 6, 7, and part of 8.
P58|Mass within segments V + VIII.
P5678|Right hemiliver is replaced by a large HCC.
P234|Cholangiocarcinoma of the left hemiliver.
P1|Caudate process nodule with washout.
P6|Segment 6: There is a 1.9 cm enhancing lesion.
P5|Subcapsular segment V tumour.
P8|Liver lesion at the dome, segment VIII.
P78|Large mass in the dome of the liver.
P2|No enlargement of the segment 2 metastasis.
P6|There is no significant change in size of the segment 6 mass.
P3|Not only is there a cyst, but a metastasis in segment 3.
P7|Segment VII mass is not resectable.
P6|Hypervascular HCC in segment VI, amenable to ablation.
P5|Segment 5 metastasis, scheduled for resection.
P8 H|After right posterior sectionectomy there is a new nodule in segment 8.
P7|In comparison with the previous CT, the metastasis in segment 7 has grown.
P4|Compared to prior, new lesion in segment 4.
P6|Recurrence in segment 6.
P5|Local tumor progression at the segment 5 ablation zone.
P6|Viable tumor in segment 6 after TACE.
P8|LR-TR viable lesion segment 8.
P4|Segment IV lesion meets LI-RADS 5 criteria.
P58|Liver: Two HCCs: seg V (22 mm) and seg VIII (31 mm). No ascites.
P6 A|Single lesion in segment 6; otherwise the liver is unremarkable.
P67 B|Metastases in segments 6 and 7. Multiple simple hepatic cysts.
P27|Metastases in segment 2 (1.2 cm, previously 0.9 cm) and segment 7 (2.0 cm, previously 2.2 cm).
A|No liver lesion.
A|No focal liver lesions are seen.
A|The hepatic parenchyma shows no focal abnormality.
A|Liver, gallbladder and pancreas are unremarkable.
A|Liver: Normal.
A|There is no evidence of recurrent or metastatic disease in the liver.
A8|No abnormality in segment VIII.
A46|No metastases in segments IV or VI.
A|Liver without focal lesions.
A|Negative for hepatic neoplasm.
A2|Lesion in segment 2 can no longer be identified.
A5|The nodule in segment 5 has disappeared.
U6|Cannot rule out metastasis in segment 6.
U7|Possible lesion, segment 7.
U5|Segment 5 hypodensity, differential includes metastasis and abscess.
U4|Segment 4 lesion: metastasis vs. focal fat.
U8|Suspected lesion in segment 8 versus artifact.
U3|A questionable 5 mm lesion is present in segment 3.
U6|Lesion in segment 6 remains indeterminate.
U2|Metastasis in segment 2 is not excluded.
U7|Lesion in segment VII likely metastasis.
U5|Segment 5 nodule, probably HCC.
H7|Prior ablation of segment 7 HCC.
H5|Status post radiofrequency ablation, segment 5.
H6|Post-ablation defect in segment 6.
H48|Previously resected segments 4 and 8 metastases.
H|Status post liver transplant for HCC.
H6|PAST HISTORY: segment 6 hepatectomy.
H8|Embolized HCC in segment VIII, no viable tumor.
B8|Hemangioma, segment VIII.
B7|Segment 7: cavernous hemangioma 4 cm, unchanged.
B5|FNH in segment 5.
B4|Fatty sparing in segment 4 near the gallbladder fossa.
B6|Lesion in segment 6 most likely represents hemangioma.
B2|Segment II cyst is stable.
B67|Cysts in segments 6 and 7, not suspicious.
B3|Angiomyolipoma in segment 3.
B8|Wedge-shaped perfusion abnormality in segment 8.
B6|Liver abscess, segment VI, 5 cm.
N|Nodule in the posterior basal segment of the left lower lobe.
N|S1-S2 disc space.
N|Tumor of the sigmoid segment.
N|Metastasis in segment 13.
N|Segment 6 of the lung shows a nodule.
N|Segmental colitis of a 10 cm segment.
N|Proximal LAD, segment 6, shows calcified plaque.
N|Stenosis in segment 1 of the RCA.
N|Type II endoleak.
N|Stage IVB lymphoma.
N|Right lower lobe S6 nodule.
N|Pulmonary nodule segment 3 right upper lobe.
N5|Hepatic artery branch to segment 5 is patent.
N23|Biliary dilatation in segments II and III.
P6|Liver cancer in segment 6.
P8|Primary liver malignancy, segment VIII.
P5|Colon cancer with a new liver lesion in segment 5.
P7|Known breast cancer. Segment 7 metastasis.
P6|History of colon cancer. New 2 cm lesion in segment 6 of the liver.
A|History of colon cancer. No liver metastases.
P4|72-year-old with HCC. 4 cm tumor in segment 4.
P6|Pancreatic adenocarcinoma with liver metastasis in segment 6.
P78|Segments VII and VIII: confluent metastases, 7 cm.
P5|Metastasis within segment V; the remaining segments are unremarkable.
P23|Left lateral segment mass.
P67|There are 2 lesions in the right lobe, in segments 6 and 7.
P6|Lesion in Sg 6.
P6|Lesion in segment VI which was not present previously.
P8|Segment VIII HCC without macrovascular invasion.
P6|Segment 6 lesion shows no washout and is consistent with metastasis.
P5|Mass in segment 5, no biliary dilatation.
P6|Mass in segment 6. No other focal lesions. The portal vein is patent.
P4|Nodule in segment 4 measuring 12 mm (series 4, image 32), suspicious.
A|No suspicious focal liver lesion. No biliary dilatation.
A7|No evidence of residual tumor in segment 7.
A6|There is no evidence of a mass in segment 6.
A|Neither focal lesions nor biliary dilatation in the liver.
U5|Segment 5 lesion, favor metastasis over abscess.
U7|7 mm hypodensity in segment 7, statistically a cyst, but metastasis cannot be excluded.
U6|Suspected but unproven metastasis in segment 6 cannot be ruled out.
U8|Focal arterial enhancement in segment 8, possibly a shunt.
B5|Arterially enhancing lesion in segment 5 with central scar consistent with FNH.
B7|The segment 7 lesion is a hemangioma.
B4|Unchanged 14 mm cyst in segment IVa.
B8|Stable hepatic hemangiomas, the largest in segment 8.
H6|Postoperative changes following resection of segments 6.
H7|Surgical resection of a segment 7 metastasis in 2018.
H58|Prior right anterior sectionectomy of segments 5 and 8.
N|Segment 6 and 7 of the right lung contain nodules.
N|Third segment of the duodenum is dilated.
N|L5/S1 disc herniation. S1 segment sclerosis.
P6|Hepatocellular carcinoma (HCC) in segment 6, T2N0M0, stage II.
P37|HCC: segment III 18mm; segment VII 25mm.
P5678|Multifocal HCC of the right hepatic lobe.
P2|mass seg. II. cyst seg. IV.
P8|The 22 mm segment 8 lesion previously measured 18 mm.
P6|Previously noted 12 mm lesion in segment 6 now measures 18 mm.
P7|Segment 7 metastasis is smaller.
P8|Interval decrease in size of segment 8 metastasis.
P5|Multiple cysts are present; additionally there is a solid mass in segment 5.
"""
"""These were written after the rules, to find what they lack."""
