# ruff: noqa: E501
"""Reports of one or more sentences, written for these tests, with the label that a volume may take from them.

Before the bar stand the segments with a tumor, `H` for a healthy liver, or `R` for a report that a person has to read.
`\\n` is a line feed.
"""

DECISIONS = r"""
R|No new hepatic metastases.
R|No enlarging hepatic lesion.
R|No other liver lesion.
R|No additional hepatic lesions.
R|No further liver metastases.
R|No evidence of new metastatic disease in the liver.
R|No definite hepatic mass; evaluation is limited without contrast.
R|Evaluation of the liver is limited by motion. No obvious lesion.
R|No suspicious liver lesion within limits of noncontrast technique.
R|No CT evidence of the known segment 6 HCC.
R|Lesions in segment 6 and 3, one of which is a hemangioma.
6|Mass in segment 6, 3 smaller cysts elsewhere.
R|Treated segment 5 HCC without residual enhancement.
8|HCC segment 5 treated with TACE. New HCC segment 8.
6|3 cm solid mass in segment 6, multiple simple cysts.
6|3 cm solid enhancing mass in segment 6, small hepatic cysts.
6|Hypervascular lesion in segment 6, several cysts, cholelithiasis.
6|Liver: 4 cm heterogeneous mass in segment 6, scattered cysts, mild steatosis.
6|Liver: 4 cm heterogeneous mass in segment 6, mild steatosis.
6|Lesion in segment 6, background hepatic steatosis.
6|Enhancing lesion in segment 6, calcified granuloma in spleen.
6|Enhancing nodule in segment 6, calcified granulomas.
R|Lesion in segment 6 is atypical for hemangioma.
6|Mass in segment 6, calcifications and necrosis.
R|Several liver lesions, some of which are cysts.
R|Several liver lesions, most of them cysts.
R|Multiple hepatic lesions, the majority are cysts.
R|Multiple hypodense lesions in the liver, at least one of which is a cyst.
6|New 2 cm lesion in segment 6, previously not seen.
6|A lesion in segment 6 which was not visible on CT of March.
R|The liver lesion seen on MRI is not visible on CT.
R|The HCC in segment 8 known from MRI is not visualized on this non-contrast CT.
R|Known HCC is not visualized.
R|The known liver metastases are not appreciated on this noncontrast exam.
R|No gross hepatic mass on this unenhanced study.
2;4;6|Mets: II 10 mm, IVb 12 mm, VI 22 mm.
2;4;6|Liver metastases in seg. II (10 mm), IVb (12 mm), and VI (22 mm).
6|No metastasis apart from segment 6.
8|Segments 5-7 free. 2 cm HCC in segment 8.
7|Metastasis in segment 7 but not in segment 3.
7|Metastasis in segment 7, not segment 8 as previously reported.
2;6|Metastases in segments II (10 mm) and VI (22 mm).
2;6|Metastases in segments 2 (10 mm) and 6 (22 mm).
2;6|Metastases in segment 2, 10 mm, and 6, 22 mm.
2;6;8|Hypodense lesions in segments 2 (1.2 cm), 6 (3 cm), and 8 (0.8 cm), consistent with metastases.
2;6;8|Metastases: segments II (1.2 cm), VI (3 cm) and VIII (0.8 cm).
2;6;8|Lesions in segments II [1.2 cm], VI [3 cm] and VIII [0.8 cm].
6;8|New metastases in segment VI 12 mm and VIII 15 mm.
6|Large mass in segment VI, sparing segment V and VII.
6|Large mass in segment VI with sparing of segment VII.
6|Mass in segment VI without extension into segment VII.
6|Mass in segment VI, with no involvement of segments V or VII.
6|Metastasis in segment VI, while segment III is free.
6|Metastasis in segment VI, segment III free of tumour.
6|After resection of segments II/III, there is a new tumour in segment VI.
R|Complex cystic lesion in segment VI, cystadenoma vs cystadenocarcinoma.
R|Arterially enhancing 8 mm focus in segment VIII without washout, LI-RADS 3.
H|Liver is clear. Lytic lesion S1.
R|Liver: Limited evaluation due to artifact.
R|Noncontrast study limits evaluation of solid organs. Liver: unremarkable.
R|FINDINGS: Liver: No new or enlarging lesions. IMPRESSION: Stable.
R|Liver: No new lesions since prior.
R|Liver: No new focal lesions. Treated lesions are stable.
R|Liver: No new metastases. Stable post-treatment changes.
R|Liver: Evaluation limited by motion artifact.
R|Liver: Streak artifact from arms limits assessment.
R|Evaluation of the liver is degraded by respiratory motion artifact.
R|Beam-hardening artifact obscures the left hepatic lobe.
R|Liver: TIPS shunt is patent.
R|Transjugular intrahepatic portosystemic shunt is patent.
R|Subcapsular hematoma of the liver after biopsy.
R|Liver: Scattered calcifications along the treated area.
R|Liver: Cirrhotic with a patent portosystemic shunt.
R|Liver: Cirrhosis, perfusion abnormality in right lobe due to portal vein thrombosis.
R|Multiple hepatic masses, hepatic steatosis.
R|Multiple hepatic lesions, new since prior, mild steatosis.
R|Liver: Ill-defined hypodensities, steatosis.
R|Heterogeneous liver mass, calcifications.
6|Mass in segment 6, partially obscured by artifact.
6|Mass in segment 6, artifacts from clips.
6|Hypervascular nodule in segment VI (2 cm), simple renal cysts.
6|Hypervascular nodule in segment VI (2 cm), renal cysts, no ascites.
6|Solid 3 cm nodule in segment VI, gallbladder stones, renal cysts.
6|Nodule in segment VI, uterine fibroids, adrenal adenoma.
6|Nodule in segment VI, benign-appearing renal cyst.
R|Lesion in segment 6 without definite washout, LR-4.
R|Observation in segment 6 with no washout, LI-RADS 3.
R|Observation in segment 6, not definitely HCC.
R|Lesion in segment 6, not clearly a metastasis.
6|New lesion in segment VI which was not visible in 2020.
6|In segment VI, a previously not visible 14 mm lesion.
6|HCC in segment VI, vascular invasion not identified.
6|HCC in segment VI with vascular invasion not seen.
6|Mass in segment VI, satellite lesions not seen.
6|Mass in segment VI with capsule not visualized.
6|Mass in segment VI, biliary dilatation is absent.
6|Mass in segment VI, ascites has resolved.
6|Mass in segment VI unchanged, perihepatic fluid no longer seen.
6|Mass in segment VI (washout not present).
6|Mass in segment VI, arterial enhancement is not seen.
6|FINDINGS:\nLiver: 32 mm enhancing mass in segment VI, mild steatosis. Portal vein patent.\nGallbladder: normal.\nSpleen: normal.\nIMPRESSION:\n1. Mass in segment VI, recommend MRI, hepatic steatosis.
6|Liver: 32 mm enhancing mass in segment VI, simple cysts elsewhere. No biliary dilatation. Spleen, pancreas and adrenals are normal.
6|Mass in segment 6 is adjacent to a cyst.
6|Mass in segment VI, there are multiple cysts.
6|Mass in segment VI, the liver is steatotic.
6|Enhancing mass in segment 6, liver shows diffuse fatty infiltration.
H|Lesion in segment 6, likely a cyst.
H|Lesion in segment 6, which is a simple cyst.
H|Lesions in segments 2 and 6, cysts.
H|Multiple hypodense liver lesions, cysts.
H|Nodule in segment 5, most likely focal fat.
6|HCC in segment 6, portal vein thrombosis not seen.
6|HCC in segment 6. No new lesion.
H|The lesion in segment 6, measuring 12 mm on the prior study, is no longer visible. No liver lesion.
H|A focal mass, cyst or abscess is not seen in the liver.
H|Focal liver lesions are not seen.
H|Liver metastases are not identified.
R|The known liver metastases are not seen.
H|No known liver metastases. No focal lesion in the liver.
H|No LR-3, LR-4 or LR-5 observation in the liver.
R|Segment 8 focus without washout or capsule, LR-3.
8|Segment 8 mass without capsule, LR-5.
6|Metastasis in segment 6, none elsewhere.
6|Metastasis in segment 6 with no extension to segment 5.
5;6|Metastasis in segment 6 with extension to segment 5.
6|Metastasis in segment 6 rather than segment 7.
6|Metastasis of segment 6 without involvement of segments 5 and 7.
6|No metastasis except in segment 6.
6|No lesion other than in segment 6.
H|No lesion in segments 2 to 8 or in the caudate.
H|No segment 6 lesion.
3|Cyst in segment 2, metastasis in segment 3, no segment 6 lesion.
6|Liver: 3 cm HCC in segment 6. Evaluation limited by motion.
R|Liver: Evaluation limited by motion. No lesion.
H|Evaluation of the bowel is limited. Liver: no lesion.
H|Liver: No lesion. Pancreas: evaluation limited by motion.
H|Liver is normal. Pancreas is obscured by bowel gas.
R|Solid organs: Evaluation limited without contrast. Liver: grossly unremarkable.
6|Metastases in segment 6 (12 mm) and 3 cysts.
6|Metastasis in segment 6, 12 mm, and 2 cysts.
6;7|Metastases in segments 6, 12 mm, and 7, 9 mm.
6;7|Metastases in segments 6 (12 x 10 mm) and 7 (9 x 8 mm).
2;4;8|Metastases: segment 2 12 mm, segment 4a 9 mm, segment 8 22 mm.
5|HCC of segment 5, 4.2 cm, 3 satellite nodules.
R|Resection of segment 6 for metastasis. Liver otherwise unchanged.
H|Resection of a metastasis in segment 6. No recurrence.
5|Status post ablation of segment 8. HCC in segment 5.
5|Prior ablation of segment 8 lesion. HCC in segment 5.
5|After ablation of segment 8, new HCC in segment 5.
R|HCC in segment 5 treated with RFA.
R|Treated metastasis of segment 7.
7|Treated metastasis of segment 4. Untreated metastasis of segment 7.
R|Treated right lobe metastases.
R|Multiple lesions, some of which are cysts and some indeterminate.
4|Mass in segment 4 with sparing of segments 2 and 3.
H|Fatty liver with focal sparing in segment 4. No lesion.
7|Segments 5 and 6 are spared. Metastasis in segment 7.
H|The liver is free. No metastases.
H|Scattered calcified granulomas in the liver and spleen. No suspicious liver lesion.
R|Scattered calcified granulomas in the liver.
H|Calcified granuloma in segment 7. No suspicious hepatic lesion.
H|Lesion in segment 8 compatible with perfusion anomaly.
R|Lesion in segment 8, perfusion anomaly versus metastasis.
H|Hepatic hematoma in segment 6 after trauma.
H|Sclerotic lesions of the spine. No liver lesion.
6|Sclerotic bone metastases. Liver metastasis in segment 6.
H|Fracture of L1. Liver without mass.
6|Lesion in segment 6, not seen in 2019.
6|2 cm lesion in segment 6, formerly not visible.
R|Lesion of segment 6 atypical for FNH.
R|Cystic lesion in segment 4, cystadenoma or cystadenocarcinoma.
4|Cystadenocarcinoma in segment 4.
R|No additional lesion.
H|Hemangioma segment 4, no other lesion.
2|Metastasis segment 2; no further lesions.
H|Status post right hepatectomy without recurrence in the liver.
H|On unenhanced images the liver is homogeneous. After contrast there is no focal liver lesion.
H|COMPARISON: Noncontrast CT. FINDINGS: Liver: no focal lesion.
6|FINDINGS: HCC segment 6, the evaluation of which is limited.
6|Liver metastasis segment 6, stable, known from MRI.
6|Known metastasis in segment 6, unchanged, no new lesions.
6|The known HCC in segment 6 has increased; no ascites is seen.
6|Known HCC in segment 6, ascites not seen.
H|A metastasis of the liver has been ruled out.
6;8|Metastases in segments 6 and 8, of which the latter has grown.
3|Lesion in segment 3: metastasis. Lesion in segment 6: cyst.
3|Lesion segment 3, metastasis; lesion segment 6, cyst.
3|Two lesions: segment 3, metastasis, and segment 6, cyst.
6|HCC with capsule in segment 6, artifact in segment 2.
6|Mass in segment VI, hepatic cyst in segment II.
R|Mass in segment 6, small cyst.
R|Lesion in segment 6, cyst, too small to characterize.
R|Hypodense lesion in segment 6, cyst cannot be excluded.
R|Nodule in segment 6, hemangioma, not further characterized.
H|Lesion in segment 6, 12 mm, cyst.
R|Status post RFA in segment 4 for colorectal metastasis.
R|Resection of segments II/III for colorectal metastases.
6|Fluid in the segment 5 resection cavity. HCC in segment 6.
5|Recurrent HCC in segment 5 resection margin.
6|Liver: Within segment 6 there is an ill-defined, heterogeneously enhancing mass measuring 5.6 x 4.9 cm (image 34 series 3). The mass demonstrates washout. There is associated capsular retraction. No other suspicious lesions are identified. Main portal vein is patent.
2;7|FINDINGS:\nLIVER: There are two hypoattenuating metastases, the first in segment II measuring 14 mm (previously 10 mm) and the second in segment VII measuring 22 mm (previously 18 mm). No new lesions.\nBILIARY: No ductal dilatation.\nIMPRESSION:\nInterval increase in size of hepatic metastases.
H|FINDINGS:\nLIVER: Normal in size with smooth contour. No focal lesions. Mild steatosis.\nGALLBLADDER: Cholelithiasis.\nIMPRESSION: No evidence of malignancy.
H|LIVER: Several simple cysts, largest 3 cm in segment 4. No enhancing masses.\nKIDNEYS: 4 cm enhancing mass in the right upper pole.
R|LIVER: Ill-defined 9 mm low density in segment 4 is too small to characterize. No other lesion.
R|LIVER: No convincing metastasis. Subcentimeter hypodensity in segment 7 is indeterminate.
5|History of colorectal cancer status post right hemicolectomy. FINDINGS: Liver: 18 mm hypovascular lesion in segment 5, highly suspicious for metastasis.
R|Liver: Heterogeneous perfusion. Lesions difficult to exclude.
8|Liver: Cirrhotic morphology with 26 mm arterially hyperenhancing observation with washout in segment VIII, LI-RADS 5. No additional LI-RADS 3, 4 or 5 observations.
4;8|1. Two LI-RADS 5 observations: segment VIII 26 mm, segment IVa 18 mm.
H|Liver: Cirrhotic. No LI-RADS 3, 4, or 5 observation. Portal vein patent.
R|Liver: Post TACE cavity in segment 8 without residual enhancement. LR-TR nonviable.
6|Liver: Post TACE cavity in segment 8 without residual enhancement. A new arterially enhancing lesion in segment 6 with washout.
H|No hepatic mass. Right hepatic lobe is normal. Left hepatic lobe is normal.
H|Hepatobiliary: No suspicious focal lesion. Tiny cyst segment 3.
H|The liver enhances homogeneously without evidence of a focal mass.
H|There is no evidence of hepatic metastatic disease.
R|There is no evidence of progression of hepatic metastatic disease.
6|There is progression of hepatic metastatic disease with a 4 cm lesion in segment 6.
1;4|Infiltrating cholangiocarcinoma of segment IV with extension to the caudate lobe.
4|Hilar cholangiocarcinoma with invasion of segment IV; the caudate lobe is not involved.
7|In comparison with the study of May, the metastasis in segment VII is stable at 18 mm.
5;6|Conglomerate mass in segments V/VI, 11 x 9 cm; hemangioma in segment III.
3;6|Metastasis in segments III and VI; simple cysts in IVa and VII.
R|Possible small metastases in segments 6 and 7; MRI recommended.
R|Segment 7: 12 mm lesion, new, nonspecific.
H|Liver: A 7 mm nonenhancing cyst in the dome. Otherwise normal.
8|Liver: 7 mm cyst in segment 2. 3.3 cm rim-enhancing mass in the dome, segment 8.
H|Hepatic parenchyma is unremarkable. Splenic lesion, 2 cm.
H|Unremarkable liver. 3 cm mass in the tail of the pancreas. Left adrenal nodule.
H|Normal liver. Left lower lobe mass, 5 cm.
R|Stable metastatic disease in the liver.
R|Liver: Unchanged appearance since the prior CT.
2;3|Left lateral segment mass, 6 cm.
5;8|Lesion in the anterior segment of the right lobe, consistent with HCC.
R|HCC status post left hepatectomy. Liver remnant with mild perfusion abnormality.
"""
