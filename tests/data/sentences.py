"""Sentences of eight languages, made from word lists by a seeded generator (no text of anybody)."""

from __future__ import annotations

import random

_WORDS: dict[str, str] = {
    "en": """the of and to in a is that it was for on with as be at by this had not are but from have they which one you were
    her all she there would their we him been has when who will more no if out so said what up its about into than them can only
    river garden window letter morning teacher village market engine bridge story music winter summer paper history science
    question answer mountain island number kitchen doctor language machine picture forest weather journey harbour library
    quickly slowly carefully often never always perhaps almost together believes remembers carries builds follows explains
    opens closes finds keeps brings understands old young bright quiet heavy narrow useful strange simple distant""",
    "de": """der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass
    sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor zur bis mehr durch man sein
    Fluss Garten Fenster Brief Morgen Lehrer Dorf Markt Maschine Brücke Geschichte Musik Winter Sommer Papier Wissenschaft
    Frage Antwort Gebirge Insel Zahl Küche Ärztin Sprache Bild Wald Wetter Reise Hafen Bücherei langsam schnell oft niemals
    immer vielleicht zusammen glaubt erinnert trägt baut folgt erklärt öffnet schließt findet behält bringt versteht groß schön""",
    "fr": """le de la et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont avec ou son aux mais
    comme on cette leur été deux même tout nous fait elle ont être sa entre ses très après aussi sans autre rivière jardin
    fenêtre lettre matin maîtresse village marché moteur pont histoire musique hiver été papier science question réponse
    montagne île nombre cuisine médecin langue machine image forêt météo voyage port bibliothèque lentement souvent jamais
    toujours peut-être ensemble croit porte construit suit explique ouvre ferme trouve garde apporte comprend vieux jeune""",
    "ru": """и в не на я что он с это как по но они мы все она так его за был от из же для вы бы у когда уже только или мне было
    если ещё до река сад окно письмо утро учитель деревня рынок мост история музыка зима лето бумага наука вопрос ответ гора
    остров число кухня врач язык машина картина лес погода путешествие гавань библиотека быстро медленно часто никогда всегда
    вместе верит помнит несёт строит следует объясняет открывает закрывает находит хранит приносит понимает старый молодой""",
    "ar": """في من على إلى أن هذا التي الذي كان عن مع ما لا هذه بعد كل قد بين ذلك هو هي عند لم أو قبل حتى كما النهر الحديقة النافذة
    الرسالة الصباح المعلم القرية السوق الجسر القصة الموسيقى الشتاء الصيف الورق العلم السؤال الجواب الجبل الجزيرة العدد المطبخ
    الطبيب اللغة الآلة الصورة الغابة الطقس الرحلة الميناء المكتبة ببطء دائما أبدا معا يفتح يغلق يجد يحفظ يجلب يفهم قديم جديد""",
    "zh": """的 一 是 在 不 了 有 和 人 这 中 大 为 上 个 我们 他们 以 要 时候 来 用 生活 到 作 地 于 出 就 分 对 成 会 可以 主 发 年
    河流 花园 窗户 书信 早晨 老师 村庄 市场 机器 桥梁 故事 音乐 冬天 夏天 纸张 科学 问题 回答 高山 海岛 数字 厨房 医生 语言 图画 森林 天气
    旅行 港口 图书馆 慢慢 常常 从不 总是 也许 一起 相信 记得 建造 跟随 说明 打开 关上 发现 保存 带来 理解 古老 年轻 明亮 安静""",
    "ja": """の に は を た が で て と し れ さ ある いる も する から な こと として い や など なっ ない この ため その あっ よう また もの
    川 庭 窓 手紙 朝 先生 村 市場 機械 橋 物語 音楽 冬 夏 紙 科学 質問 答え 山 島 数字 台所 医者 言葉 絵 森 天気 旅行 港 図書館 ゆっくり
    いつも 一緒に 信じる 覚えている 運ぶ 作る 開ける 閉める 見つける 守る 古い 若い 明るい 静かな 重い 便利な""",
    "th": """ที่ และ ใน เป็น ของ มี ได้ ไม่ ว่า จะ ให้ กับ จาก การ ความ นี้ มา ไป แล้ว แต่ หรือ ก็ คน เมื่อ อยู่ โดย แม่น้ำ สวน หน้าต่าง จดหมาย
    ตอนเช้า ครู หมู่บ้าน ตลาด เครื่องจักร สะพาน เรื่องราว ดนตรี ฤดูหนาว ฤดูร้อน กระดาษ วิทยาศาสตร์ คำถาม คำตอบ ภูเขา เกาะ ตัวเลข ห้องครัว หมอ
    ภาษา รูปภาพ ป่า อากาศ การเดินทาง ท่าเรือ ห้องสมุด ช้า เสมอ ด้วยกัน เชื่อ จำ สร้าง อธิบาย เปิด ปิด พบ เก็บ นำ เข้าใจ เก่า ใหม่""",
}
LANGUAGES = tuple(_WORDS)
_LISTS = {language: words.split() for language, words in _WORDS.items()}
_NO_SPACES = ("zh", "ja", "th")
_STOPS = {"zh": "。", "ja": "。", "th": " ", "ar": ".", "ru": "."}


class Writer:
    """Writes sentences; uses `Random.random()` only, whose values Python guarantees to keep."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, bound: int) -> int:
        """Draw an integer in [0, bound)."""
        return int(self._random.random() * bound)

    def sentence(self, language: str) -> str:
        """Write one sentence; common words are commoner."""
        words = _LISTS[language]
        count = 6 + self.below(12)
        chosen = [words[int(len(words) * self._random.random() ** 1.6)] for _ in range(count)]
        if language in _NO_SPACES:
            return "".join(chosen) + _STOPS[language]
        return " ".join([chosen[0].capitalize(), *chosen[1:]]) + _STOPS.get(language, ".")

    def document(self, language: str, sentences: int) -> str:
        """Write paragraphs of about four sentences."""
        space = "" if language in _NO_SPACES else " "
        lines = [self.sentence(language) for _ in range(sentences)]
        return "\n\n".join(space.join(lines[at : at + 4]) for at in range(0, sentences, 4))

    def near_copy(self, text: str) -> str:
        """Change one word of a text."""
        words = text.split(" ")
        if len(words) < 2:
            at = self.below(len(text))
            return text[:at] + "也" + text[at + 1 :]
        words[self.below(len(words))] = f"x{self.below(1000)}"
        return " ".join(words)
