"""From a model's label to the language tag that rules, stop words and thresholds go by.

A tag is the shortest ISO 639 code of the language, as lid.176 has it: `en`, `zh`, `ckb`. Models in the manner of
GlotLID, OpenLID and NLLB label with ISO 639-3 and ISO 15924 (`eng_Latn`); their codes become tags by the table
below, which follows CLDR (languageAlias and likelySubtags; members of a macrolanguage share its tag) but for four
tags of lid.176: `no` (with nob), `tl` (with fil), `sh` (hbs) and `ps` (with pbt).
"""

from __future__ import annotations

import re
from typing import Final

# script: tag=ISO 639 codes of three letters, of the languages whose usual script it is
_TABLE: Final = """
Arab: ar=ara,arb fa=fas,per,pes ks=kas ps=pbt,pbu,pus sd=snd ug=uig ur=urd
Armn: hy=arm,hye
Avst: ae=ave
Beng: as=asm bn=ben
Cans: cr=cre,cwd iu=ike,iku oj=ojg,oji
Cyrl: ab=abk av=ava ba=bak be=bel bg=bul ce=che cu=chu cv=chv kk=kaz kv=kom,kpv ky=kir mk=mac,mkd mn=drh,khk,mon os=oss ru=rus sr=scc,srp tg=tgk tt=tat uk=ukr
Deva: hi=hin mr=mar ne=nep,npi sa=cls,san
Ethi: am=amh ti=tir
Geor: ka=geo,kat
Grek: el=ell,gre
Gujr: gu=guj,prp
Guru: pa=pan
Hans: zh=chi,cmn,zho
Hebr: he=heb yi=ydd,yid
Jpan: ja=jpn
Khmr: km=khm
Knda: kn=kan
Kore: ko=kor
Laoo: lo=lao
Latn: aa=aar af=afr ak=aka,fat,twi an=arg ay=aym,ayr az=aze,azj bi=bis bm=bam br=bre bs=bos ca=cat ch=cha co=cos
Latn: cs=ces,cze cy=cym,wel da=dan de=deu,ger ee=ewe en=eng eo=epo es=spa et=ekk,est eu=baq,eus ff=fuc,ful fi=fin
Latn: fj=fij fo=fao fr=fra,fre fy=fry ga=gle gd=gla gl=glg gn=grn,gug gv=glv ha=hau ho=hmo hr=hrv,scr ht=hat hu=hun
Latn: hz=her ia=ina id=ind ie=ile ig=ibo ik=esk,ipk io=ido is=ice,isl it=ita jv=jav kg=kng,kon ki=kik kj=kua kl=kal
Latn: kr=kau,knc ku=kmr,kur kw=cor la=lat lb=ltz lg=lug li=lim ln=lin lt=lit lu=lub lv=lav,lvs mg=mlg,plt mh=mah
Latn: mi=mao,mri ms=may,msa,zsm mt=mlt na=nau nd=nde ng=ndo nl=dut,nld nn=nno no=nob,nor nr=nbl nv=nav ny=nya oc=oci
Latn: om=gaz,orm pl=pol pt=por qu=que,quz rm=roh rn=run ro=mol,ron,rum rw=kin sc=src,srd se=sme sg=sag sh=hbs
Latn: sk=slk,slo sl=slv sm=smo sn=sna so=som sq=alb,als,sqi ss=ssw st=sot su=sun sv=swe sw=swa,swh tk=tuk tl=fil,tgl
Latn: tn=tsn to=ton tr=tur ts=tso ty=tah uz=uzb,uzn ve=ven vi=vie vo=vol wa=wln wo=wol xh=xho yo=yor za=zha,zyb zu=zul
Mlym: ml=mal
Mymr: my=bur,mya
Orya: or=ori,ory
Sinh: pi=pli si=sin
Taml: ta=tam
Telu: te=tel
Thaa: dv=div
Thai: th=tha
Tibt: bo=bod,tib dz=adp,dzo
Yiii: ii=iii
"""
_SAME_SCRIPTS: Final = {"Hans": ("Hant", "Hani"), "Jpan": ("Hira", "Kana"), "Kore": ("Hang",)}
_LABEL: Final = re.compile(r"([a-z]{2,3})[_-]([A-Z][a-z]{3})")


def _read_table() -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    tag_of, scripts = {}, {}
    for line in _TABLE.split("\n")[1:-1]:
        script, _, entries = line.partition(": ")
        for entry in entries.split(" "):
            tag, _, codes = entry.partition("=")
            tag_of.update(dict.fromkeys(codes.split(","), tag))
            scripts[tag] = (script, *_SAME_SCRIPTS.get(script, ()))
    return tag_of, scripts


TAG_OF_CODE, SCRIPTS_OF_TAG = _read_table()
"""ISO 639 code of three letters: tag; tag: the scripts that it stands for."""


def language_tag(label: str) -> str:
    """Return the tag of a label.

    A label of language and script becomes the tag of the language; of a language with a tag of two letters, only in
    its usual script, since thresholds and stop words are for that one (another script stays in the tag). Every other
    label is a tag already. `und_` with any script is `und`.

    >>> [language_tag(label) for label in ("eng_Latn", "cmn_Hani", "hin_Latn", "ckb_Arab", "en", "als", "als_Latn")]
    ['en', 'zh', 'hi-Latn', 'ckb', 'en', 'als', 'sq']
    """
    match = _LABEL.fullmatch(label)
    if match is None:
        return label
    code, script = match.groups()
    tag = TAG_OF_CODE.get(code, code)
    usual = SCRIPTS_OF_TAG.get(tag)
    return tag if usual is None or script in usual else f"{tag}-{script}"
