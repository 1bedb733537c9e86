"""What the published CIFAR-10-C and CIFAR-100-C consist of: names of folders and files, checksums.

The random numbers behind eleven of the corruptions were never recorded, so those files cannot be
made again. The other eight depend on nothing but the test images.
"""

from collections.abc import Mapping

from automix_cli.data.cifar import CifarName

FOLDERS: Mapping[CifarName, str] = {"cifar10": "CIFAR-10-C", "cifar100": "CIFAR-100-C"}
"""Folder of the unpacked archive, by data set."""

LABELS = "labels"
SEVERITIES = (1, 2, 3, 4, 5)
RECORDS = {"cifar10": 2535967, "cifar100": 3555552}
"""Record of the archive at Zenodo."""

_TABLE = """
labels             c439b113295ed5254878798ffe28fd54 bb4026e9ce52996b95f439544568cdb2 same
gaussian_noise     ecaf8b9a2399ffeda7680934c33405fd ecc4d366eac432bdf25c024086f5e97d
shot_noise         3a7239bb118894f013d9bf1984be7f11 b0a1fa6e1e465a747c1b204b1914048a
impulse_noise      2090e01c83519ec51427e65116af6b1a 3b3c210ddfa0b5cb918ff4537a429fef
defocus_blur       7d1322666342a0702b1957e92f6254bc d923e3d9c585a27f0956e2f2ad832564 same
glass_blur         7361fb4019269e02dbf6925f083e8629 0bf384f38e5ccbf8dd479d9059b913e1
motion_blur        fffa5f852ff7ad299cfe8a7643f090f4 732a7e2e54152ff97c742d4c388c5516
zoom_blur          6ea8e63f1c5cdee1517533840641641b 0204613400c034a81c4830d5df81cb82 same
snow               bb238de8555123da9c282dea23bd6e55 0237be164583af146b7b144e73b43465
frost              31f6ab3bce1d9934abfb0cc13656f141 3a39c6823bdfaa0bf8b12fe7004b8117
fog                7b397314b5670f825465fbcd1f6e9ccd 4efc7ebd5e82b028bdbe13048e3ea564
brightness         0a81ef75e0b523c3383219c330a85d48 f22d7195aecd6abb541e27fca230c171 same
contrast           3c8262171c51307f916c30a3308235a8 322bb385f1d05154ee197ca16535f71e same
elastic_transform  9421657c6cd452429cf6ce96cc412b5f a0792bd6581f6810878be71acedfc65a
pixelate           0f14f7e2db14288304e1de10df16832f 96c00c60f144539e14cffb02ddbd0640 same
jpeg_compression   2b9cc4c864e0193bb64db8d7728f8187 c851b7f1324e1d2ffddeb76920576d11 same
speckle_noise      ef00b87611792b00df09c0b0237a1e30 e3f215b1a0f9fd9fd6f0d1cf94a7ce99
gaussian_blur      c33370155bc9b055fb4a89113d3c559d 5204ba0d557839772ef5a4196a052c3e same
spatter            8a5a3903a7f8f65b59501a6093b4311e 12ccf41d62564d36e1f6a6ada5022728
saturate           1cfae0964219c5102abbb883e538cc56 c0697e9fdd646916a61e9c312c77bf6b same
"""
_ROWS = [line.split() for line in _TABLE.split("\n") if line]

MD5: Mapping[CifarName, Mapping[str, str]] = {
    "cifar10": {row[0]: row[1] for row in _ROWS},
    "cifar100": {row[0]: row[2] for row in _ROWS},
}
"""md5 of each published `.npy` file, by data set and name without suffix."""

REPRODUCIBLE = frozenset(row[0] for row in _ROWS if row[3:])
"""Files that depend on nothing but the test images: a generated one must be the official one."""
