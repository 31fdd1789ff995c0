"""Letters, digits and marks that look alike: the table behind `nicks.look`.

Made from the confusables data of Unicode Technical Standard #39, version 13.0.0 (confusables.txt), by a
program that

* followed every prototype to its end, and kept the characters that can stand in a nick (after NFKC, NFD);
* took the first character of a class for its prototype where Unicode has several letters for one (m is
  like rn, but "corn" and "com" are two names) or something that cannot stand in a nick;
* left out Hangul, the Greek sigma (Unicode has it look like an o), and those letters and marks of
  living scripts that share a prototype with another one of their own script (Thai, Arabic, Tamil...):
  their readers tell them apart.  The forms of the Arabic heh, kaf and yeh stay.

ICU 72 (Unicode 15.0) gave the same skeleton as version 13.0 for every single character.

The data comes under this notice:

UNICODE LICENSE V3

COPYRIGHT AND PERMISSION NOTICE

Copyright (c) 1991-2024 Unicode, Inc.

NOTICE TO USER: Carefully read the following legal agreement. BY DOWNLOADING, INSTALLING, COPYING OR
OTHERWISE USING DATA FILES, AND/OR SOFTWARE, YOU UNEQUIVOCALLY ACCEPT, AND AGREE TO BE BOUND BY, ALL OF THE
TERMS AND CONDITIONS OF THIS AGREEMENT. IF YOU DO NOT AGREE, DO NOT DOWNLOAD, INSTALL, COPY, DISTRIBUTE OR
USE THE DATA FILES OR SOFTWARE.

Permission is hereby granted, free of charge, to any person obtaining a copy of data files and any
associated documentation (the "Data Files") or software and any associated documentation (the "Software") to
deal in the Data Files or Software without restriction, including without limitation the rights to use,
copy, modify, merge, publish, distribute, and/or sell copies of the Data Files or Software, and to permit
persons to whom the Data Files or Software are furnished to do so, provided that either (a) this copyright
and permission notice appear with all copies of the Data Files or Software, or (b) this copyright and
permission notice appear in associated Documentation.

THE DATA FILES AND SOFTWARE ARE PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED,
INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT OF THIRD PARTY RIGHTS.

IN NO EVENT SHALL THE COPYRIGHT HOLDER OR HOLDERS INCLUDED IN THIS NOTICE BE LIABLE FOR ANY CLAIM, OR ANY
SPECIAL INDIRECT OR CONSEQUENTIAL DAMAGES, OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR
PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN
CONNECTION WITH THE USE OR PERFORMANCE OF THE DATA FILES OR SOFTWARE.

Except as contained in this notice, the name of a copyright holder shall not be used in advertising or
otherwise to promote the sale, use or other dealings in these Data Files or Software without prior written
authorization of the copyright holder.
"""

from __future__ import annotations

# On each line: a prototype (one or more code points, with + between them), and what looks like it.
_TABLE = """\
2d: 2cba
2e: 660 6f0 a4f8 1d16d
32: 1a7 3e8 14bf a644 a75a
33: 1b7 21c 417 4e0 2ccc a76a a7ab 118ca 16f3b
34: 13ce 118af
35: 1bc 118bb
36: 431 13ee 2cd2 118d5
37: 104d2 118c6
38: 222 223 9ea a6a b03 1031a
39: 9ed a67 b68 d6d 2cca a76e 118ac 118cc 118d6
41: 391 410 13aa 15c5 a4ee 102a0 16f40
42: 392 412 13f4 15f7 a4d0 a7b4 10282 102a1 10301
43: 421 13df 2ca4 a4da 102a2 10302 10415 1051c 118e9
44: 13a0 15de 15ea a4d3
45: 395 415 13ac 2d39 a4f0 10286 118a6 118ae
46: 3dc 15b4 a4dd a798 10287 102a5 10525 118a2 118c2
47: 50c 13c0 13f3 a4d6
48: 397 41d 13bb 157c 2c8e a4e7 102cf
4a: 37f 408 13ab 148d a4d9 a7b2
4b: 39a 41a 13e6 16d5 2c94 a4d7 10518
4c: 13de 14aa 2cd0 a4e1 1041b 10526 118a3 118b2 16f16
4d: 39c 3fa 41c 13b7 15f0 16d6 2c98 a4df 102b0 10311
4e: 39d 2c9a a4e0 10513
4f: 30 39f 41e 555 7c0 9e6 12d0 2c9e 2d54 a4f3 10292 102ab 10404 104c2 10516 114d0 118b5 118e0
50: 3a1 420 13e2 146d 2ca2 a4d1 10295
51: 2d55
52: 1a6 13a1 13d2 1587 a4e3 104b4 16f35
53: 405 54f 13d5 13da a4e2 10296 10420 16f3a
54: 3a4 422 13a2 2ca6 a4d4 10297 102b1 10315 118bc 16f0a
55: 54d 1200 144c a4f4 104ce 118b8 16f42
56: 474 667 6f7 13d9 142f 2d38 a4e6 a6df 1051d 118a0 16f08
57: 51c 13b3 13d4 a4ea 118e6
58: 3a7 425 16b7 2cac 2d5d a4eb a7b3 10290 102b4 10317 10527
59: 3a5 423 4ae 13a9 13bd 2ca8 a4ec 102b2 118a4 16f43
5a: 396 13c3 a4dc 118a9 118e5
5f: 7fa
61: 251 3b1 430
62: 184 42c 13cf 1472 15af
63: 441 1d04 2ca5 abaf 1043d
64: 501 13e7 146f a4d2
65: 435 4bd ab32
66: 584 1e9d a799 ab35
67: 18d 261 581 1d83
68: 4bb 570 13c2
69: 131 269 26a 3b9 456 4cf 13a5 a647 ab75 118c3
6a: 3f3 458
6c: 31 49 196 1c0 399 406 4c0 627 661 6f1 7ca 16c1 2c92 2d4f a4f2 1028a 10309 16f28
6d: 11700 118e3
6e: 578
6f: 3bf 43e 585 5e1 647 665 6be 6c1 6d5 6f5 966 a66 ae6 be6 d82 e50 ed0 10ff 1d0f 1d11 2c9f ab3d 1042c 104ea
  118c8 118d7
70: 3c1 440 2ca3
71: 51b 566
72: 433 1d26 2c85 ab47 ab48 ab81
73: 1bd 455 a731 abaa 10448 118c1
75: 28b 3c5 57d 1d1c a79f ab4e ab52 104f6 118d8
76: 3bd 475 5d8 1d20 aba9 11706 118c0
77: 26f 461 51d 561 1d21 ab83 1170a 1170e 1170f
78: 445 1541 157d
79: 263 28f 3b3 443 4af 10e7 1d8c 1eff ab5a 118dc
7a: 1d22 ab93 118c4
c6: 4d4
de: 3f7 104c4
df: 3b2 13f0 a7b5
e6: 4d5
fe: 1bf 3f8
138: 3ba 43a 1d0b 2c95 abb6
185: 44c ab9f
186: 3fd 2183 a4db 10423
18e: 2d3a a4f1
18f: 4d8
190: 510 13cb 10401 16f2d
1a8: 3e9 1d24 a645
1a9: 3a3 2d49
1ab: 13bf
1b1: 162e 1634
1c1: 5f0
1c3: 2d51
1dd: 259 4d9
1f6: 50a
21d: 292 4e1 10f3 2ccd a76b
237: 575
241: 294 97d 13ae
242: ab7e
245: 39b 41b 668 6f8 1431 2d37 a4e5 a6ce 1028d 104b0 16f3d
24b: 1d90
254: 37b 1d10 2184 1044b
25c: 437 1d08
25e: 10442
262: 50d 13fb ab90
270: 57a 1223
277: 1043f
278: 3c6 444 2cab
280: ab71 aba2
283: ab4d
28c: 1d27 104d8
28d: 43c 1d0d ab87
298: 2d59 a668 104c3
299: 432 13fc
29a: a79d 1042a
29c: 43d ab8b
29f: 2cd1 abae 10443
2a1: a6cd
2b9: 2bb 2bc 2bd 2be 2c8 2ca 2cb 5d9 144a 16cc a78c 16f51 16f52
2ba: 2ee 5f2
2d0: 903 a83 a4fd
300: 953
301: 747 954
302: 311 65b 7ee 1cd0 a6f0
303: 342 653
304: 305 659 7eb 1cd2 a6f1
306: 30c 36e a67c
307: 358 7ed 902 a02 a82 bcd
308: 7f3 8eb
309: 302c
30a: 366 5af b82 e4d ecd 1036 2dea 309a 11300
30e: 1cda
310: 6e8 901 981 a81 b01 c00 c81 d01 114bf
312: 657
313: 315
314: 65d
316: 1ced
323: 93c 9bc a3c abc b3c 1cdd 10a3a 111ca 114c3
324: 8ee 1cde
325: f37 302d
326: 321 327 339
328: 322 345 1ab7
329: 656 1cdc
32b: 1cd5
32d: 1cd9
32e: 1cd8
331: 320 952
333: 347
335: 336
338: 337
350: 357
352: 900
354: 8f9
355: 8fa
363: 2df6
364: 2df7
368: 2ded
36f: 2def
393: 413 13b1 14a5 2c84 16f07
394: 1403 2c86 2d60 10285 102a3 16f1a
3a0: 41f 2ca0 a6db
3a6: 424 553 1240 2caa 102b3
3a8: 470 16d8 2cae 102b5 104d1
3a9: 162f 1635 102b6
3bb: 2c96 104db
3c0: 43f 1d28
3c2: 3db
3c7: 2cad ab53 ab55
3c8: 471 104f9
3c9: 2cb1 a64d a7b7
3d7: 2ce4
3d8: 102ad 10312
3ec: 2cdc
40b: 104cd
418: 376 a6a1 10425
428: 2cbc
43b: 1d2b
448: 2cbd
459: ab60
460: 13c7 15ef
4b6: 4cb
4b7: 4cc
4c3: 104bc
548: 1260 144e a4f5
559: 2bf
571: 1294
629: 6c3
643: 6a9 6aa
649: 64a 6cc
650: 317
662: 6f2 a9cf
663: 6f3
664: 6f4
666: 6f6
669: 6f9 967 118e4
670: 30d
6db: 1ab4 20db
93a: 111cb
93d: abd
941: ac1
942: ac2
946: a4b
94d: a4d acd
968: ae8
969: ae9
96a: aea
96e: aee
971: d4e
983: a03 c03 c83 d03 d83 1038 114c1
998: 11492
99a: 11494
99c: 11496
99e: 11498
99f: 11499
9a1: 1149b
9a3: 114aa
9a4: 1149e
9a5: 1149f
9a6: 114a0
9a7: 114a1
9a8: 114a2
9aa: 114a3
9ac: 114a9
9ae: 114a7
9af: 114a8
9b0: 114ab
9b2: 1149d
9b7: 114ad
9b8: 114ae
9bd: 114c4
9be: 114b0
9bf: 114b1
9c7: 114b9
9cd: 114c2
9d7: 114bd
9e7: 114d1
9e8: 114d2
9ec: 114d6
b89: d09
b90: d1c
ba3: d23
bb4: d34
bb6: d36
c05: c85
c06: c86
c07: c87
c12: c92
c1c: c9c
c1e: c9e
c23: ca3
c2f: caf
c31: cb1
c32: cb2
c67: ce7
c68: ce8
c6f: cef
e08: e88
e1a: e9a
e1b: e9b
e1d: e9d
e1e: e9e
e1f: e9f
e22: e8d
e34: 17b7
e35: 17b8
e36: 17b9
e37: 17ba
e38: eb8
e39: eb9
e48: ec8 17cb
e49: ec9
e4a: eca
e4b: ecb
1206: 544
1261: 54c
12ae: 53b
1323: 54a
1421: 14d1
1427: a78f
1429: 1540
1433: 16f3f
1437: 1440
1438: 16b2
1445: 2cb4
1454: 145d
1489: 1603
1490: 1602
14d3: 1604
14da: 1607
1543: 1622
1546: 1623
154a: 1624
15e1: a4f7
1660: a4ed
16b9: a6b0
16bc: 16e1
16bd: 16c2
16dc: 10294 118b7
16e6: 104d0
18f5: 18db
1d00: ab7a
1d05: ab70
1d07: ab7c
1d0a: ab7b
1d0e: 377 438 1044d
1d18: 1d29 abb2
1d19: 44f
1d1b: 3c4 442 ab72
1ddf: 2de8
1e9f: 3b4 56e 1577
20e9: a66f
2132: 15b5 a4de
2c3f: a992
2c6f: 15c4 a4ef
2c70: 1041f
2c75: 370 13a8 13b0 a6b1
2c76: ab80
2cc6: 3033 30ce 4e3f
2d40: 102b8
2dec: 1dee
304f: 21fe8
3078: 30d8
30fc: 4e00 a7f7
3588: 439b
363d: 39b3
3a41: 6409
3ada: 66f6
3b35: 80f6
3b3a: 5e50
3b3b: 4420
3ba3: 69e9
4039: 9fc3
403f: 6663
4443: 6726
46b6: 8a1e
4e8c: 30cb
4ebb: 30a4
4f75: 5002
5024: 503c
516b: 30cf
529b: 30ab
535c: 30c8
53e3: 30ed 56d7
5553: 555f
571f: 58eb
5861: 586b
58ab: 58ff
5915: 30bf
5aaf: 5b00
5de5: 30a8
5e21: 5e32
6236: 6238
665a: 6669
670c: 80a6
670f: 80d0
6710: 80ca
6713: 8101
6718: 8127
6723: 81a7
676e: 67ff
699d: 6a27
6e88: 6f59
7814: 784f
7d55: 7d76
80fc: 8141
848d: 853f
8637: 8641
8a2e: 8a7d
8b86: 8b8f
8c5c: 8c63
8d7f: 8d86
8de5: 8dfa
8e97: 8e9b
8eff: 8f27
90ce: 90de
93ad: 93ae
96b7: 96b8
9e42: 9e43
9ed1: 9ed2
a4d5: a7b1
a4e4: a79e
a4f6: 10411 16f26
a64c: a7b6
a658: 16f1c
a669: 104eb
a698: a74e
a699: a74f
a727: a795
a738: a73a
a739: a73b
a73e: 3ff
a73f: 37d
a779: a77a
a786: 10a0
a792: 404 2c88
a793: 25b 3b5 454 511 2c89 ab9b 10429 118ce
a7fb: 15b7
a8fb: 111dc
aa01: aa53
aa23: aa56
102a8: a69a
1039a: 12038
10412: a79a
1043a: a79b
10486: 104a0
1099e: 132f9
11582: 115d8 115d9
11583: 115da
11584: 115db
115b2: 115dc
115b3: 115dd
11caa: 11cb2
32+335: 1bb
33+326: 498
43+326: 4aa
44+335: d0 110 189
45+338: 246
46+326: 191
47+335: 1e4
48+326: 4c7 4c9
48+329: 4a2 2c67
48+335: 126
4a+335: 248
4b+329: 49a 2c69
4b+335: 49e a740
4c+338: 141
4d+326: 4cd
4e+326: 19d
4f+335: 19f 398 3b8 472 4e8 13be 13eb 2d31 a74a
4f+338: d8 2d41
54+328: 1ae
54+329: 4ac
54+335: 166
54+338: 23e
55+335: 244 13cc
58+329: 4b2
59+335: 24e 4b0
5a+326: 224
5a+335: 1b5
62+304: 182 183 411
62+307: 1473
62+314: 253
62+335: 180 462 463 48c 48d
63+326: 4ab
63+338: 23c
64+304: 18c
64+314: 257
64+328: 256
64+335: 111
65+328: 4bf
65+338: 247
66+326: 192
66+334: 1d6e
67+314: 260
67+335: 1e5
68+314: 266 13f2 a695
68+335: 127 45b
69+335: 268 1d7b 1d7c
6a+335: 249
6b+314: 199
6c+328: 26d
6c+334: 26b
6c+335: 197 19a
6c+338: 142
6c+655: 673
6e+328: 273
6e+329: 19e 3b7
6e+334: 1d70
6f+302: 6ff
6f+31b: ab74
6f+335: 275 473 4e9 a74b ab8e abbb
6f+338: f8 ab3e
6f+102c: 1010
70+314: 1a5
70+335: 1d7d
71+314: 2a0
72+328: 27d
72+329: 27c
72+334: 1d72
72+335: 24d 493
73+328: 282
73+334: 1d74
74+314: 1ad
74+334: 1d75
74+335: 167
75+335: 1d7e ab9c
77+307: 114c5
77+326: a761
79+314: 1b4
79+335: 24f 4b1
7a+326: 225
7a+328: 290
7a+334: 1d76
7a+335: 1b6
138+329: 49b
138+335: 49f
245+326: 4c5
254+338: ab3f
25c+326: 499
27e+334: 1d73
28a+335: 1d7f
28d+326: 4ce
29c+326: 4c8 4ca
29c+329: 4a3
393+335: 492
416+329: 496
436+329: 497
43b+326: 4c6
4bc+328: 4be
628+654: 8a1
628+6db: 751
628+6e2: 8b6
62d+6db: 685
62f+302: 6ee
62f+615: 688
62f+6db: 68e
631+302: 6ef
631+306: 692
631+615: 691
631+654: 76c
631+6db: 698
632+302: 8b2
633+302: 77e
633+6db: 634
635+6db: 69e
637+6db: 69f
644+306: 6b5
644+6db: 6b7
645+6db: 8a7
646+306: 769
646+615: 768
648+302: 6c9
648+306: 6c6
648+313: 6c7
648+670: 6c8
648+6db: 6cb
649+302: 63d
649+654: 8a8
68a+615: 68b
697+615: 771
6a2+6db: 8a4
6af+6db: 6b4
905+93e: 906
905+946: 904
905+949: 911
90f+945: 90d
90f+946: 90e
90f+947: 910
985+9be: 986
a05+a3e: a06
a05+a48: a10
a05+a4c: a14
a72+a3f: a07
a72+a40: a08
a72+a47: a0f
a73+a41: a09
a73+a42: a0a
a85+abe: a86
a85+ac5: a8d
a85+ac7: a8f
a85+ac8: a90
b05+b3e: b06
b88+bc1: beb
b89+d57: d0a
b9a+bc1: bec
b9f+bbf: d3a
c0b+c3e: c60
c0c+c3e: c61
c12+c4c: c14 c94
c12+c55: c13 c93
c21+323: c22
c27+5bc: c25
c2c+323: c2d
c30+5bc: c20
c35+323: c37
c35+c3e: c39
c35+c41: c2e
c8c+cbe: ce1
d07+d57: d08
d0e+d46: d10
d12+d3e: d13
d12+d57: d14
de8+dcf: de9
de8+dd3: def
1002+102c: 1000
1002+103e: 1081
1003+103e: 1070
1015+102c: 101f
1015+103e: 1066
101e+103c: 1029
107d+103e: 107e
1d1b+329: 4ad
77+486+487: 47d
418+326+300: 48a
460+486+487: 47c
62f+324+323: 8ae
631+306+307: 8b9
635+324+323: 8af
649+306+307: 8ba
649+6db+6e2: 8b7
905+93e+946: 912
905+93e+947: 913
905+93e+948: 914
a85+abe+ac5: a91
a85+abe+ac7: a93
a85+abe+ac8: a94
f68+f7c+f7e: f00
1015+102c+103e: 106f
1d0e+326+306: 48b
101e+103c+1031+102c+103a: 102a
"""


def _read(table: str) -> dict[int, str]:
    prototypes = {}
    for line in table.replace("\n  ", " ").splitlines():
        prototype, _, members = line.partition(": ")
        shape = "".join(chr(int(code, 16)) for code in prototype.split("+"))
        prototypes.update(dict.fromkeys((int(code, 16) for code in members.split()), shape))
    return prototypes


PROTOTYPES = _read(_TABLE)
"""Code point -> what it looks like, for `str.translate`.  Read-only, for any thread."""
