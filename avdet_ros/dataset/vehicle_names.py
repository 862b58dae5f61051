"""Recognition of vehicle categories in other data sets by the words of their names."""

from __future__ import annotations

import re
import unicodedata

# As used by COCO, BDD100K, FLIR ADAS, VisDrone, nuScenes, KITTI, Cityscapes and Waymo.
_ENGLISH = """
car automobile auto sedan suv hatchback taxi cab van minivan pickup truck lorry bus minibus coach
motorcycle motorbike motor vehicle caravan trailer
"""
# German, French, Spanish, Italian, Portuguese and Dutch, without their accents.
_EUROPEAN = """
pkw lkw lastwagen lastkraftwagen motorrad fahrzeug kraftfahrzeug voiture camion camionnette autobus
moto vehicule coche automovil vehiculo furgoneta carro motocicleta macchina furgone autocarro
veicolo motociclo caminhao onibus veiculo vrachtwagen bestelwagen voertuig
"""
_NO_VEHICLE = """
bicycle bike cycle human person people pedestrian rider driver sign signal plate license
licence number door wheel tire mirror toy seat stop lane park parking rack shadow reflection no non
not background ignore ignored unknown part parts rail rails train tram cable dontcare misc
"""
_VEHICLES = frozenset((*_ENGLISH.split(), *_EUROPEAN.split()))
_OTHERS = frozenset(_NO_VEHICLE.split())
_CHINESE_JAPANESE = re.compile(
    '汽车|轿车|卡车|货车|公交|客车|摩托|面包车|车辆|機車|自動車|乗用車|車両|トラック|バス|オートバイ'
)


def is_vehicle(name: str) -> bool:
    """Whether a category's name denotes a road motor vehicle.

    Every word counts: ``vehicle.car``, ``Cars`` and ``other vehicle`` are vehicles, ``car door``,
    ``car light`` and ``vehicle.bicycle`` are not.
    """
    if _CHINESE_JAPANESE.search(name):
        return True
    plain = unicodedata.normalize('NFKD', name)
    plain = ''.join(letter for letter in plain if not unicodedata.combining(letter))
    # Words are separated by any non-letter, and by capitals as in OtherVehicle.
    words = re.findall(r'[A-Z]?[a-z]+|[A-Z]+(?![a-z])', plain)
    known = {one for word in words for one in _singulars(word.lower())}
    lamp = bool(words) and words[-1].lower().startswith('light')  # unlike a light truck
    return bool(known & _VEHICLES) and not known & _OTHERS and not lamp


def _singulars(word: str) -> set[str]:
    found = {word}
    if word.endswith('ies'):
        found.add(f'{word[:-3]}y')
    if word.endswith('es'):
        found.add(word[:-2])
    if word.endswith('s'):
        found.add(word[:-1])
    return found
