#pragma once

// Written by voc.py: Python 3.11.7.

#include <vector>

// clang-format off
namespace reference::voc {

struct Row {
  const char* labels;
  const char* ignore;
  int salient;
};
struct Picture {
  const char* id;
  const char* xml;
  Row skipped, present, ignored;
};

inline const std::vector<Picture> kPictures = {
{"005306", R"xml(<annotation>
  <folder>VOC2007</folder><filename>005306.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><truncated>1</truncated><pose>Left</pose><difficult>1</difficult><name>cat</name><bndbox><ymax>225</ymax><ymin>64</ymin><xmax>347</xmax><xmin>290</xmin></bndbox></object>
  <object><difficult>1</difficult><name> cat </name><pose>Left</pose><bndbox><ymin>277</ymin><xmin>74</xmin><ymax>423</ymax><xmax>104</xmax></bndbox><truncated>1</truncated></object>
  <object><name>
tvmonitor</name><difficult> 1 </difficult><bndbox><xmin>33</xmin><xmax>48</xmax><ymax>447</ymax><ymin>289</ymin></bndbox><truncated>1</truncated><pose>Left</pose></object>
  <object><difficult> 1 </difficult><bndbox><xmin>125</xmin><xmax>272</xmax><ymin>42</ymin><ymax>118</ymax></bndbox><pose>Left</pose><name>bird</name><truncated>1</truncated></object>
  <object><name> bird </name><bndbox><ymax>261</ymax><ymin>251</ymin><xmax>185</xmax><xmin>78</xmin></bndbox><truncated>1</truncated><pose>Left</pose><difficult> 1 </difficult></object>
</annotation>
)xml",
 {"--------------------", "....................", -1}, {"--+----+-----------+", "....................", 2}, {"--+----+-----------+", "..x....x...........x", -1}},
{"002472", R"xml(<annotation>
  <folder>VOC2007</folder><filename>002472.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><difficult> 1 </difficult><truncated>1</truncated><bndbox><xmin>34.25</xmin><xmax>221.5</xmax><ymin>32.0</ymin><ymax>211.0</ymax></bndbox><pose>Left</pose><name>
chair</name></object>
  <object><name>chair</name><difficult>1</difficult><truncated>1</truncated><pose>Left</pose><bndbox><xmin>253.25</xmin><xmax>308.5</xmax><ymin>31</ymin><ymax>227</ymax></bndbox></object>
  <object><difficult>0</difficult><pose>Left</pose><name> bird </name><truncated>1</truncated><bndbox><ymax>249</ymax><xmax>462.25</xmax><xmin>282.25</xmin><ymin>143.0</ymin></bndbox></object>
  <object><name>chair</name><bndbox><ymin>145.0</ymin><ymax>182.0</ymax><xmin>135.25</xmin><xmax>136.25</xmax></bndbox><pose>Left</pose><truncated>1</truncated></object>
</annotation>
)xml",
 {"--+-----+-----------", "....................", 2}, {"--+-----+-----------", "....................", 8}, {"--+-----+-----------", "....................", 2}},
{"006469", R"xml(<annotation>
  <folder>VOC2007</folder><filename>006469.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><pose>Left</pose><truncated>1</truncated><difficult>1</difficult><bndbox><xmax>147</xmax><ymax>148</ymax><ymin>107</ymin><xmin>35</xmin></bndbox><name>horse</name></object>
  <object><pose>Left</pose><name>
boat</name><bndbox><xmax>67</xmax><ymin>37</ymin><xmin>14</xmin><ymax>194</ymax></bndbox><difficult> 1 </difficult><truncated>1</truncated></object>
  <object><bndbox><ymin>246</ymin><xmax>362</xmax><ymax>325</ymax><xmin>239</xmin></bndbox><name> horse </name><truncated>1</truncated><pose>Left</pose><difficult> 1 </difficult></object>
  <object><pose>Left</pose><bndbox><ymax>308</ymax><ymin>271</ymin><xmax>198</xmax><xmin>106</xmin></bndbox><name>pottedplant</name><truncated>1</truncated><difficult>1</difficult></object>
</annotation>
)xml",
 {"--------------------", "....................", -1}, {"---+--------+--+----", "....................", 12}, {"---+--------+--+----", "...x........x..x....", -1}},
{"000792", R"xml(<annotation>
  <folder>VOC2007</folder><filename>000792.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><truncated>1</truncated><name>
sofa</name><bndbox><xmax>176</xmax><xmin>115.5</xmin><ymin>100</ymin><ymax>202.0</ymax></bndbox><pose>Left</pose><difficult>1</difficult></object>
  <object><truncated>1</truncated><name>
train</name><difficult> 1 </difficult><pose>Left</pose><bndbox><xmax>362</xmax><xmin>177.25</xmin><ymax>318</ymax><ymin>229</ymin></bndbox></object>
  <object><difficult>1</difficult><name>
sofa</name><bndbox><xmin>177.25</xmin><xmax>346</xmax><ymax>74.0</ymax><ymin>44.0</ymin></bndbox><truncated>1</truncated><pose>Left</pose></object>
  <object><pose>Left</pose><difficult>0</difficult><name>train</name><bndbox><xmin>88.5</xmin><ymin>66.0</ymin><xmax>95.5</xmax><ymax>104</ymax></bndbox><truncated>1</truncated></object>
  <object><name>
train</name><pose>Left</pose><bndbox><ymax>305</ymax><ymin>270</ymin><xmin>53.25</xmin><xmax>244</xmax></bndbox><difficult>0</difficult><truncated>1</truncated></object>
</annotation>
)xml",
 {"------------------+-", "....................", 18}, {"-----------------++-", "....................", 18}, {"-----------------++-", ".................x..", 18}},
{"001187", R"xml(<annotation>
  <folder>VOC2007</folder><filename>001187.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><truncated>1</truncated><pose>Left</pose><name>
dog</name><bndbox><ymax>249</ymax><xmin>265</xmin><xmax>393</xmax><ymin>216</ymin></bndbox></object>
  <object><truncated>1</truncated><pose>Left</pose><name> bottle </name><difficult>0</difficult><bndbox><ymin>285</ymin><xmax>77</xmax><xmin>62</xmin><ymax>368</ymax></bndbox></object>
  <object><bndbox><xmax>482</xmax><xmin>288</xmin><ymin>15</ymin><ymax>31</ymax></bndbox><name> dog </name><difficult> 1 </difficult><truncated>1</truncated><pose>Left</pose></object>
  <object><bndbox><xmax>184</xmax><xmin>133</xmin><ymax>401</ymax><ymin>287</ymin></bndbox><truncated>1</truncated><name>
dog</name><pose>Left</pose></object>
</annotation>
)xml",
 {"----+------+--------", "....................", 11}, {"----+------+--------", "....................", 11}, {"----+------+--------", "....................", 11}},
{"008780", R"xml(<annotation>
  <folder>VOC2007</folder><filename>008780.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><bndbox><xmax>116</xmax><xmin>80</xmin><ymax>252</ymax><ymin>188</ymin></bndbox><difficult>1</difficult><name>bird</name><truncated>1</truncated><pose>Left</pose></object>
  <object><pose>Left</pose><bndbox><xmax>324</xmax><ymin>264</ymin><xmin>221</xmin><ymax>350</ymax></bndbox><truncated>1</truncated><difficult> 1 </difficult><name>
motorbike</name></object>
  <object><difficult>1</difficult><truncated>1</truncated><pose>Left</pose><name> car </name><bndbox><ymin>10</ymin><xmin>226</xmin><ymax>94</ymax><xmax>324</xmax></bndbox></object>
  <object><name>bird</name><truncated>1</truncated><pose>Left</pose><bndbox><xmin>93</xmin><ymin>139</ymin><xmax>286</xmax><ymax>172</ymax></bndbox></object>
  <object><difficult> 1 </difficult><pose>Left</pose><truncated>1</truncated><bndbox><ymin>94</ymin><ymax>112</ymax><xmin>30</xmin><xmax>138</xmax></bndbox><name> motorbike </name></object>
</annotation>
)xml",
 {"--+-----------------", "....................", 2}, {"--+---+------+------", "....................", 13}, {"--+---+------+------", "......x......x......", 2}},
{"001543", R"xml(<annotation>
  <folder>VOC2007</folder><filename>001543.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><difficult> 1 </difficult><pose>Left</pose><truncated>1</truncated><bndbox><ymax>201</ymax><xmax>149</xmax><xmin>138</xmin><ymin>67</ymin></bndbox><name> aeroplane </name></object>
  <object><bndbox><xmin>272</xmin><xmax>346</xmax><ymax>220</ymax><ymin>106</ymin></bndbox><truncated>1</truncated><pose>Left</pose><name> aeroplane </name><difficult>1</difficult></object>
  <object><name>
aeroplane</name><bndbox><xmax>414</xmax><xmin>283</xmin><ymax>219</ymax><ymin>98</ymin></bndbox><truncated>1</truncated><pose>Left</pose></object>
</annotation>
)xml",
 {"+-------------------", "....................", 0}, {"+-------------------", "....................", 0}, {"+-------------------", "....................", 0}},
{"005992", R"xml(<annotation>
  <folder>VOC2007</folder><filename>005992.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><truncated>1</truncated><difficult> 1 </difficult><name>
diningtable</name><bndbox><ymax>221</ymax><xmax>160</xmax><xmin>72</xmin><ymin>208</ymin></bndbox><pose>Left</pose></object>
  <object><pose>Left</pose><name> diningtable </name><truncated>1</truncated><difficult>0</difficult><bndbox><ymax>207</ymax><ymin>145</ymin><xmin>260</xmin><xmax>413</xmax></bndbox></object>
</annotation>
)xml",
 {"----------+---------", "....................", 10}, {"----------+---------", "....................", 10}, {"----------+---------", "....................", 10}},
{"009549", R"xml(<annotation>
  <folder>VOC2007</folder><filename>009549.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><difficult>0</difficult><truncated>1</truncated><pose>Left</pose><name>dog</name><bndbox><ymax>250.0</ymax><xmax>73.25</xmax><ymin>159</ymin><xmin>18</xmin></bndbox></object>
  <object><truncated>1</truncated><bndbox><ymin>22.0</ymin><ymax>27</ymax><xmax>305.5</xmax><xmin>205.25</xmin></bndbox><name>chair</name><pose>Left</pose></object>
  <object><bndbox><ymax>154.0</ymax><xmin>75.5</xmin><xmax>258.5</xmax><ymin>23.0</ymin></bndbox><difficult>0</difficult><pose>Left</pose><truncated>1</truncated><name>
diningtable</name></object>
  <object><bndbox><xmin>54</xmin><xmax>169</xmax><ymax>335.0</ymax><ymin>193.0</ymin></bndbox><truncated>1</truncated><difficult>1</difficult><name> diningtable </name><pose>Left</pose></object>
  <object><truncated>1</truncated><bndbox><xmin>34.25</xmin><ymax>262</ymax><xmax>98.5</xmax><ymin>243</ymin></bndbox><name>
diningtable</name><pose>Left</pose></object>
</annotation>
)xml",
 {"--------+-++--------", "....................", 10}, {"--------+-++--------", "....................", 10}, {"--------+-++--------", "....................", 10}},
{"000951", R"xml(<annotation>
  <folder>VOC2007</folder><filename>000951.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><name> bicycle </name><bndbox><xmax>290.25</xmax><xmin>131</xmin><ymin>156</ymin><ymax>301</ymax></bndbox><truncated>1</truncated><difficult>0</difficult><pose>Left</pose></object>
  <object><bndbox><ymax>112</ymax><xmin>239.25</xmin><ymin>61</ymin><xmax>379.25</xmax></bndbox><truncated>1</truncated><name> car </name><pose>Left</pose></object>
  <object><difficult>0</difficult><name>
bicycle</name><bndbox><ymax>207.0</ymax><ymin>73.0</ymin><xmin>47.25</xmin><xmax>238</xmax></bndbox><truncated>1</truncated><pose>Left</pose></object>
  <object><truncated>1</truncated><pose>Left</pose><bndbox><xmax>355.25</xmax><xmin>252.5</xmin><ymin>231</ymin><ymax>308.0</ymax></bndbox><difficult> 1 </difficult><name>bicycle</name></object>
  <object><bndbox><ymax>244.0</ymax><xmax>71.25</xmax><ymin>149.0</ymin><xmin>7</xmin></bndbox><pose>Left</pose><truncated>1</truncated><difficult> 1 </difficult><name>bicycle</name></object>
</annotation>
)xml",
 {"-+----+-------------", "....................", 1}, {"-+----+-------------", "....................", 1}, {"-+----+-------------", "....................", 1}},
{"008314", R"xml(<annotation>
  <folder>VOC2007</folder><filename>008314.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><pose>Left</pose><bndbox><xmax>359</xmax><ymin>98</ymin><xmin>162</xmin><ymax>193</ymax></bndbox><difficult>0</difficult><truncated>1</truncated><name>
bottle</name></object>
  <object><name>
bottle</name><pose>Left</pose><bndbox><xmax>195</xmax><ymax>159</ymax><xmin>71</xmin><ymin>147</ymin></bndbox><truncated>1</truncated></object>
  <object><pose>Left</pose><difficult>1</difficult><name>
cat</name><truncated>1</truncated><bndbox><xmin>134</xmin><ymax>269</ymax><ymin>208</ymin><xmax>301</xmax></bndbox></object>
</annotation>
)xml",
 {"----+---------------", "....................", 4}, {"----+--+------------", "....................", 4}, {"----+--+------------", ".......x............", 4}},
{"003518", R"xml(<annotation>
  <folder>VOC2007</folder><filename>003518.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><truncated>1</truncated><pose>Left</pose><bndbox><ymax>359</ymax><xmax>266</xmax><xmin>231</xmin><ymin>219</ymin></bndbox><name> pottedplant </name><difficult>0</difficult></object>
  <object><truncated>1</truncated><name> pottedplant </name><bndbox><xmin>292</xmin><xmax>297</xmax><ymin>104</ymin><ymax>295</ymax></bndbox><difficult>0</difficult><pose>Left</pose></object>
</annotation>
)xml",
 {"---------------+----", "....................", 15}, {"---------------+----", "....................", 15}, {"---------------+----", "....................", 15}},
{"000615", R"xml(<annotation>
  <folder>VOC2007</folder><filename>000615.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><pose>Left</pose><difficult>1</difficult><truncated>1</truncated><name>
dog</name><bndbox><xmin>271</xmin><xmax>294.25</xmax><ymin>111.0</ymin><ymax>180.0</ymax></bndbox></object>
</annotation>
)xml",
 {"--------------------", "....................", -1}, {"-----------+--------", "....................", 11}, {"-----------+--------", "...........x........", -1}},
{"001409", R"xml(<annotation>
  <folder>VOC2007</folder><filename>001409.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><bndbox><ymax>257</ymax><xmax>303</xmax><xmin>240</xmin><ymin>230</ymin></bndbox><truncated>1</truncated><difficult>1</difficult><name>
pottedplant</name><pose>Left</pose></object>
</annotation>
)xml",
 {"--------------------", "....................", -1}, {"---------------+----", "....................", 15}, {"---------------+----", "...............x....", -1}},
{"007105", R"xml(<annotation>
  <folder>VOC2007</folder><filename>007105.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><bndbox><ymin>66</ymin><xmin>156</xmin><xmax>316</xmax><ymax>130</ymax></bndbox><truncated>1</truncated><pose>Left</pose><difficult>1</difficult><name>
aeroplane</name></object>
  <object><truncated>1</truncated><name> bottle </name><difficult> 1 </difficult><pose>Left</pose><bndbox><xmin>115</xmin><ymax>138</ymax><ymin>1</ymin><xmax>117</xmax></bndbox></object>
  <object><difficult>0</difficult><bndbox><ymin>211</ymin><ymax>377</ymax><xmin>15</xmin><xmax>195</xmax></bndbox><name>cat</name><truncated>1</truncated><pose>Left</pose></object>
  <object><bndbox><ymax>316</ymax><ymin>190</ymin><xmax>276</xmax><xmin>218</xmin></bndbox><truncated>1</truncated><name>
aeroplane</name><pose>Left</pose></object>
</annotation>
)xml",
 {"+------+------------", "....................", 7}, {"+---+--+------------", "....................", 7}, {"+---+--+------------", "....x...............", 7}},
{"006852", R"xml(<annotation>
  <folder>VOC2007</folder><filename>006852.jpg</filename>
  <!-- one of ours -->
  <size><width>500</width><height>500</height><depth>3</depth></size>
  <object><bndbox><ymin>100.0</ymin><xmin>160</xmin><xmax>219.25</xmax><ymax>219</ymax></bndbox><name>sheep</name><difficult>0</difficult><truncated>1</truncated><pose>Left</pose></object>
  <object><bndbox><xmax>256.25</xmax><ymin>28</ymin><ymax>34</ymax><xmin>202.5</xmin></bndbox><truncated>1</truncated><pose>Left</pose><name>bird</name></object>
</annotation>
)xml",
 {"--+-------------+---", "....................", 16}, {"--+-------------+---", "....................", 16}, {"--+-------------+---", "....................", 16}},
};

}  // namespace reference::voc
// clang-format on
