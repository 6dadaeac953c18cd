# SPDX-License-Identifier: Apache-2.0
"""Every word of the report, in English and in French, side by side."""

from __future__ import annotations

from typing import Literal

Lang = Literal["en", "fr"]
LANGUAGES: tuple[Lang, ...] = ("en", "fr")

TEXTS: dict[str, tuple[str, str]] = {
    # verdict
    "title": ("{dataset} on {board}", "{dataset} sur {board}"),
    "title_no_board": ("{dataset} with {model}", "{dataset} avec {model}"),
    "report": ("puce report", "rapport puce"),
    "fits": ("It fits", "Il tient"),
    "does_not_fit": ("It does not fit", "Il ne tient pas"),
    "on_board": ("on {board}", "sur {board}"),
    "bit_exact": ("every output is bit-exact", "chaque sortie est exacte au bit près"),
    "not_exact": ("outputs differ", "des sorties diffèrent"),
    "accuracy_of": ("{value} right in {kind}", "{value} de réponses justes en {kind}"),
    "error_of": ("mean squared error {value} through {code} values", "erreur quadratique moyenne {value} par {code} valeurs"),
    "in_time": ("{value} an inference as modelled", "{value} par inférence selon le modèle"),
    # key figures
    "key_accuracy": ("accuracy, int8", "exactitude, int8"),
    "key_accuracy_float": ("accuracy, float", "exactitude, flottant"),
    "key_error": ("mean squared error, test", "erreur quadratique moyenne, test"),
    "key_components": ("{code} principal components", "{code} composantes principales"),
    "key_code": ("code", "code"),
    "values_of": ("of {values} values of a picture", "pour {values} valeurs d'une image"),
    "key_flash": ("flash", "flash"),
    "key_ram": ("RAM", "RAM"),
    "key_latency": ("latency, modelled", "latence, modélisée"),
    "key_energy": ("energy, modelled", "énergie, modélisée"),
    "of": ("of {total}", "sur {total}"),
    "to": ("{low} to {high}", "{low} à {high}"),
    # proof
    "proof": ("{identical} of {count} outputs identical", "{identical} sorties sur {count} identiques"),
    "proof_differ": (
        "{identical} of {count} outputs identical for {name}",
        "{identical} sorties sur {count} identiques pour {name}",
    ),
    "proof_counts": (
        "Every output that was compared is identical",
        "Toutes les sorties comparées sont identiques",
    ),
    "first_difference": ("First difference: {where}", "Première différence : {where}"),
    "NumPy reference": ("NumPy reference", "référence NumPy"),
    "LiteRT reference": ("LiteRT reference", "référence LiteRT"),
    "host C": ("C on the host", "C sur le PC"),
    "emulated": ("emulated {core}", "{core} émulé"),
    # sections
    "data": ("Data", "Données"),
    "training": ("Training", "Entraînement"),
    "accuracy": ("Accuracy", "Exactitude"),
    "reconstruction": ("Pictures given back", "Images restituées"),
    "confusion": ("Confusion matrix", "Matrice de confusion"),
    "belief": ("Can its probabilities be believed?", "Peut-on croire ses probabilités ?"),
    "predictions": ("Predictions", "Prédictions"),
    "quantization": ("Quantisation", "Quantification"),
    "board": ("Verdict for the board", "Verdict pour la carte"),
    "memory": ("RAM over time", "RAM au fil du temps"),
    "layers": ("Layer by layer", "Couche par couche"),
    "cost": ("Latency and energy", "Latence et énergie"),
    "reproduce": ("How to reproduce", "Reproduire"),
    "missing": ("Not in this run", "Absent de cette exécution"),
    # data
    "split": ("split", "partie"),
    "class": ("class", "classe"),
    "train": ("training", "entraînement"),
    "validation": ("validation", "validation"),
    "test": ("test", "test"),
    "total": ("total", "total"),
    "pictures_of": (
        "{classes} classes, pictures of {h} × {w} × {c}; input of the network: {preprocessing}.",
        "{classes} classes, images de {h} × {w} × {c} ; entrée du réseau : {preprocessing}.",
    ),
    "samples": ("Training pictures, class after class.", "Images d'entraînement, classe après classe."),
    "skipped": ("{n} file(s) skipped: {files}", "{n} fichier(s) écarté(s) : {files}"),
    # training
    "trained": (
        "{model}: {parameters} parameters, {epochs} epochs in {time}; the weights of epoch {best} were kept.",
        "{model} : {parameters} paramètres, {epochs} époques en {time} ; les poids de l'époque {best} ont été gardés.",
    ),
    "loss": ("Loss", "Perte"),
    "epoch": ("epoch", "époque"),
    "train_note": (
        "Training figures are of augmented pictures and with label smoothing, so they may look worse than those of validation.",
        "Les valeurs d'entraînement sont celles d'images augmentées et d'étiquettes lissées ; elles peuvent être moins "
        "bonnes que celles de validation.",
    ),
    # accuracy
    "what": ("what", "quoi"),
    "value": ("value", "valeur"),
    "interval": ("95 % interval", "intervalle à 95 %"),
    "correct": ("correct", "justes"),
    "identical": ("identical", "identiques"),
    "majority": ("always the largest class ({name})", "toujours la plus grande classe ({name})"),
    "calibration_error": (
        "Where the network says how sure it is, it is wrong by {error} on average (expected calibration error, test pictures).",
        "Quand le réseau dit à quel point il est sûr, il se trompe de {error} en moyenne (erreur de calibration attendue, "
        "images de test).",
    ),
    "calibration_note": (
        "On the dotted line a network that is 80 % sure is right in 80 %; above it the network is too modest, below it too "
        "sure. Bars are 95 % intervals.",
        "Sur la ligne pointillée, un réseau sûr à 80 % a raison dans 80 % des cas ; au-dessus il est trop modeste, en dessous "
        "trop sûr. Les barres sont des intervalles à 95 %.",
    ),
    "roc_area": (
        "{name}: area under the ROC curve {value} (95 %: {low} to {high}).",
        "{name} : aire sous la courbe ROC {value} (95 % : {low} à {high}).",
    ),
    "confidence": ("how sure it is (%)", "confiance (%)"),
    "right_share": ("how often it is right (%)", "réponses justes (%)"),
    "false_alarms": ("false alarms (%)", "fausses alarmes (%)"),
    "found": ("found (%)", "trouvés (%)"),
    "float_validation": ("float, validation", "flottant, validation"),
    "float_test": ("float, test", "flottant, test"),
    "int8_numpy": ("int8, NumPy reference", "int8, référence NumPy"),
    "int8_litert": ("int8, LiteRT reference", "int8, référence LiteRT"),
    "int8_on": ("int8, {witness}", "int8, {witness}"),
    "paired": (
        "Float against int8 on the same pictures: {a} right only in float, {b} only in int8 (McNemar's exact test, "
        "p = {p}): {verdict}.",
        "Flottant contre int8 sur les mêmes images : {a} juste(s) en flottant seul, {b} en int8 seul (test exact de "
        "McNemar, p = {p}) : {verdict}.",
    ),
    "differ": ("the difference is real", "la différence est réelle"),
    "no_difference": ("no difference can be shown", "aucune différence démontrable"),
    "precision": ("precision", "précision"),
    "recall": ("recall", "rappel"),
    "f1": ("F1", "F1"),
    "support": ("pictures", "images"),
    "true": ("true class ↓ predicted class →", "classe vraie ↓ classe prédite →"),
    "confusion_note": (
        "{kind}, test pictures; rows are true classes.",
        "{kind}, images de test ; une ligne par classe vraie.",
    ),
    "prediction_note": (
        "The first {n} test pictures, not chosen; green is right, red is wrong (true class in brackets).",
        "Les {n} premières images de test, non choisies ; vert : juste, rouge : faux (classe vraie entre parenthèses).",
    ),
    "mistakes": (
        "Worst errors among the first {n} test pictures: wrong, and surest of it.",
        "Pires erreurs parmi les {n} premières images de test : fausses, et les plus sûres de l'être.",
    ),
    # pictures given back
    "through": (
        "Each picture of {values} values goes through {code} and back. The error is the mean squared difference, values from "
        "0 to 1; principal components of the training pictures are the best that a linear code can do.",
        "Chaque image de {values} valeurs passe par {code} valeurs, puis revient. L'erreur est l'écart quadratique moyen, "
        "valeurs de 0 à 1 ; les composantes principales des images d'entraînement sont le mieux que puisse un code linéaire.",
    ),
    "squared_error": ("mean squared error", "erreur quadratique moyenne"),
    "components": ("PCA, {code} components", "ACP, {code} composantes"),
    "nearer": (
        "Nearer than PCA by {value} on average (95 %: {low} to {high}), on {share} % of the test pictures.",
        "Plus proche que l'ACP de {value} en moyenne (95 % : {low} à {high}), sur {share} % des images de test.",
    ),
    "farther": (
        "Farther than PCA by {value} on average (95 %: {low} to {high}); nearer on {share} % of the test pictures.",
        "Plus loin que l'ACP de {value} en moyenne (95 % : {low} à {high}) ; plus proche sur {share} % des images de test.",
    ),
    "as_near": (
        "No difference to PCA can be shown ({value} on average, up to {high}); nearer on {share} % of the test pictures.",
        "Aucune différence démontrable avec l'ACP ({value} en moyenne, jusqu'à {high}) ; plus proche sur {share} % des images "
        "de test.",
    ),
    "from_components": (
        "The linear path of this network is fixed to the principal components; the gain was learned by its other layers.",
        "Le chemin linéaire de ce réseau est fixé aux composantes principales ; le gain a été appris par ses autres couches.",
    ),
    "error_of_picture": ("squared error of a picture", "erreur quadratique d'une image"),
    "spread_note": ("Dotted: the means. The scale is logarithmic.", "En pointillé : les moyennes. Échelle logarithmique."),
    "original": ("original", "originale"),
    "first_back": ("The first {n} test pictures, not chosen.", "Les {n} premières images de test, non choisies."),
    "gained_back": (
        "Of the first {n} test pictures, those that gain most on PCA.",
        "Parmi les {n} premières images de test, celles qui gagnent le plus sur l'ACP.",
    ),
    "worst_back": (
        "Of the first {n} test pictures, those that come back worst.",
        "Parmi les {n} premières images de test, celles qui reviennent le moins bien.",
    ),
    "train_error_note": (
        "Mean squared error by epoch; dashed: what the principal components leave on the test pictures.",
        "Erreur quadratique moyenne par époque ; en tirets : ce que laissent les composantes principales (images de test).",
    ),
    # quantisation
    "calibrated": (
        "{n} training pictures for calibration; input q = x / {scale} {zero}.",
        "{n} images d'entraînement pour la calibration ; entrée q = x / {scale} {zero}.",
    ),
    "snr_note": (
        "Signal to noise of each layer's output, int8 against float: 6 dB more is half the error. Layers with a low "
        "value cost accuracy.",
        "Rapport signal sur bruit de la sortie de chaque couche, int8 contre flottant : 6 dB de plus, c'est moitié moins "
        "d'erreur. Une valeur basse coûte de l'exactitude.",
    ),
    "snr": ("signal to noise (dB)", "signal sur bruit (dB)"),
    "output": ("output", "sortie"),
    "weights": ("weights", "poids"),
    # board
    "code": ("code", "code"),
    "activations": ("activations", "activations"),
    "stack": ("stack", "pile"),
    "other": ("other", "autre"),
    "promised_linked": (
        "Promised before the link and counted after it: flash {promised_flash} and {linked_flash}, RAM {promised_ram} and "
        "{linked_ram}.",
        "Promis avant l'édition de liens et compté après : flash {promised_flash} et {linked_flash}, RAM {promised_ram} et "
        "{linked_ram}.",
    ),
    "bank": ("bank", "banc"),
    "used": ("used", "utilisé"),
    "capacity": ("capacity", "capacité"),
    "ram_note": (
        "Tensor bytes alive at each of {n} steps; the peak is {peak} at {node}, {share} of the board's {capacity}.",
        "Octets de tenseurs vivants à chacune des {n} étapes ; le pic est de {peak} à {node}, {share} des {capacity} de la "
        "carte.",
    ),
    "alive": ("alive (KiB)", "vivants (Kio)"),
    "step": ("step", "étape"),
    "schedule_proof": ("Proof of the schedule: {proof}", "Preuve de l'ordonnancement : {proof}"),
    # layers and cost
    "layer": ("layer", "couche"),
    "shape": ("output", "sortie"),
    "parameters": ("parameters", "paramètres"),
    "cycles": ("cycles, modelled", "cycles, modélisés"),
    "share": ("share", "part"),
    "modelled": (
        "Modelled, not measured: the emulator counts instructions and the core's published timings price them; the "
        "model is within {error} of its calibration measurements. Clock {clock} MHz.",
        "Modélisé, non mesuré : l'émulateur compte les instructions, les durées publiées du cœur leur donnent un prix ; "
        "le modèle est à {error} près de ses mesures d'étalonnage. Horloge {clock} MHz.",
    ),
    "latency": ("latency", "latence"),
    "energy": ("energy", "énergie"),
    # reproduce
    "command": ("command", "commande"),
    "seeds": ("seeds", "graines"),
    "versions": ("versions", "versions"),
    "settings": ("settings", "réglages"),
    "fingerprint": ("SHA-256 of the data", "SHA-256 des données"),
    "weights_hash": ("SHA-256 of the weights", "SHA-256 des poids"),
    "created": ("started", "débuté"),
    "missing_note": (
        "These steps have not been done. To add them:",
        "Ces étapes n'ont pas été faites. Pour les ajouter :",
    ),
    "step_data": ("data", "données"),
    "step_train": ("training", "entraînement"),
    "step_quantize": ("quantisation", "quantification"),
    "step_compile": ("compilation", "compilation"),
    "step_cost": ("cost by layer", "coût par couche"),
    "step_validate": ("validation on the emulator", "validation sur l'émulateur"),
}


class Words:
    """The texts of one language, and its way to write numbers."""

    def __init__(self, lang: Lang) -> None:
        self.lang = lang

    def __call__(self, key: str, **values: object) -> str:
        text = TEXTS[key][LANGUAGES.index(self.lang)]
        return text.format(**values) if values else text

    def number(self, text: str) -> str:
        """Give a formatted number the decimal sign and the units of the language."""
        if self.lang == "en":
            return text
        return text.replace(".", ",").replace("KiB", "Kio").replace("MiB", "Mio").replace("\u202fB", "\u202fo")
