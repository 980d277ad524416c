"""The texts of the demo course: five assignments, and what students and the tutor say about them."""

from msgspec import Struct

from cortez.core.db.types import Document
from cortez.exercises.models import LevelName


class Assignment(Struct, frozen=True):
    """An activity, with the words and the code that its traces are made of."""

    activity_id: str
    title: str
    instructions: str
    difficulty: str
    minutes: int
    tags: list[str]
    concept: str
    trap: str
    step: str
    snippets: list[str]
    status: str = "active"
    cases: list[tuple[str, str]] = []


ASSIGNMENTS = [
    Assignment(
        "prog2-tp1-listas",
        "TP1: Filtrar y transformar listas",
        "Escribí `aprobados(notas)` que reciba una lista de pares (nombre, nota) y devuelva los nombres de quienes "
        "tienen 6 o más, ordenados por nota descendente. No uses `sorted` con `reverse`: justificá tu criterio de orden.",
        "INICIAL",
        90,
        ["listas", "orden", "funciones"],
        "el orden de una lista de pares",
        "modificar la lista mientras la recorro",
        "separar el filtro del ordenamiento",
        [
            "def aprobados(notas):\n    return [n for n, v in notas if v >= 6]",
            "def clave(par):\n    return -par[1]",
            "for nombre, nota in list(notas):\n    if nota < 6:\n        notas.remove((nombre, nota))",
        ],
        cases=[
            ("aprobados([])", "[]"),
            ("aprobados([('Ana', 9), ('Luis', 4)])", "['Ana']"),
            ("aprobados([('Ana', 6), ('Eva', 8)])", "['Eva', 'Ana']"),
        ],
    ),
    Assignment(
        "prog2-tp2-recursion",
        "TP2: Recursión sobre directorios",
        "Dado un árbol de carpetas como diccionarios anidados, calculá el tamaño total con una función recursiva. "
        "Explicá el caso base y por qué la recursión termina.",
        "INTERMEDIO",
        120,
        ["recursion", "arboles"],
        "el caso base de la recursión",
        "olvidar devolver el resultado de la llamada recursiva",
        "escribir primero el caso base",
        [
            "def tamano(nodo):\n    if isinstance(nodo, int):\n        return nodo\n    return sum(tamano(h) for h in nodo.values())",
            "def tamano(nodo):\n    for h in nodo.values():\n        tamano(h)",
            "assert tamano({'a': 1, 'b': {'c': 2}}) == 3",
        ],
        cases=[("tamano({})", "0"), ("tamano({'a': 1})", "1"), ("tamano({'a': 1, 'b': {'c': 2}})", "3")],
    ),
    Assignment(
        "prog2-tp3-colas",
        "TP3: Una cola con dos pilas",
        "Implementá una cola con dos pilas. `encolar` y `desencolar` deben costar O(1) amortizado; mostrá la cuenta.",
        "INTERMEDIO",
        150,
        ["pilas", "colas", "complejidad"],
        "el costo amortizado",
        "volcar la pila en cada operación",
        "volcar solo cuando la pila de salida está vacía",
        [
            "class Cola:\n    def __init__(self):\n        self.entrada, self.salida = [], []",
            "def desencolar(self):\n    if not self.salida:\n        while self.entrada:\n            self.salida.append(self.entrada.pop())\n    return self.salida.pop()",
            "def encolar(self, x):\n    self.entrada.append(x)",
        ],
        cases=[("encolar(1); desencolar()", "1"), ("encolar(1); encolar(2); desencolar()", "1"), ("vacia()", "True")],
    ),
    Assignment(
        "prog2-tp4-grafos",
        "TP4: Caminos mínimos en el subte",
        "Con la red de subtes como grafo, hallá el camino con menos estaciones entre dos dadas. Compará BFS con DFS "
        "y contá qué estructura usa cada una.",
        "AVANZADO",
        180,
        ["grafos", "bfs"],
        "por qué BFS encuentra el camino más corto",
        "no marcar los visitados y entrar en un ciclo",
        "dibujar la cola en cada paso",
        [
            "from collections import deque\n\ndef camino(red, a, b):\n    cola, previo = deque([a]), {a: None}",
            "while cola:\n    actual = cola.popleft()\n    for vecina in red[actual]:\n        if vecina not in previo:\n            previo[vecina] = actual\n            cola.append(vecina)",
            "def recorrer(red, a):\n    for v in red[a]:\n        recorrer(red, v)",
        ],
        cases=[("camino('A', 'A')", "['A']"), ("camino('A', 'C')", "['A', 'B', 'C']"), ("camino('A', 'Z')", "None")],
    ),
    Assignment(
        "prog2-tp5-final",
        "TP5: Proyecto final",
        "Elegí un problema de tu barrio que se pueda modelar con las estructuras de la materia. Entregá diseño y pruebas.",
        "AVANZADO",
        600,
        ["proyecto"],
        "el diseño",
        "empezar por el código",
        "escribir las pruebas primero",
        ["# a definir"],
        "draft",
    ),
]

NAMES = """Sofía Acosta|Mateo Benítez|Valentina Cabrera|Thiago Domínguez|Martina Escobar|Benjamín Ferreyra|Catalina Giménez
Joaquín Herrera|Emma Ibarra|Santino Juárez|Julieta Krause|Bautista Ledesma|Renata Medina|Felipe Núñez|Mía Ojeda
Lautaro Paz|Olivia Quiroga|Ignacio Ríos|Delfina Sosa|Tomás Toledo|Abril Urquiza|Facundo Vera|Lucía Werner|Dante Yapura
Zoe Zárate|Nicolás Arce|Camila Bravo|Franco Coria|Pilar Duarte|Simón Esteche""".replace("\n", "|").split("|")

# What a student says in a state; {concept}, {trap} and {step} come from the assignment.
STUDENT: dict[str, list[tuple[str, str]]] = {
    "exploracion": [
        ("student_prompt", "Estoy leyendo la consigna. ¿Qué significa exactamente {concept}?"),
        ("hypothesis_formulation", "Creo que todo pasa por {concept}; voy a probar con un ejemplo chico."),
    ],
    "planificacion": [
        ("strategy_change", "Mi plan: {step}, y recién después pensar en los casos raros."),
        ("student_prompt", "¿Tiene sentido {step} antes de programar el resto?"),
    ],
    "implementacion": [
        ("code_commit", "{code}"),
        ("code_commit", "# avance\n{code}"),
    ],
    "depuracion": [
        ("student_prompt", "Me da otro resultado del esperado. Sospecho de {trap}, ¿cómo lo compruebo?"),
        ("self_correction", "Era {trap}. Lo corregí y ahora paso dos casos más."),
    ],
    "validacion": [
        ("student_prompt", "Probé con lista vacía y con un solo elemento y anda. ¿Qué caso me falta?"),
        ("self_correction", "Me faltaba probar el borde; con eso apareció {trap}."),
    ],
    "reflexion": [
        ("hypothesis_formulation", "Si tuviera que explicarlo: la clave es {concept}."),
        ("strategy_change", "La próxima vez voy a {step} desde el principio."),
    ],
    "confusion": [("student_prompt", "Me perdí. No entiendo qué tiene que ver {concept} con esto.")],
    "progresando": [
        ("code_commit", "{code}"),
        ("student_prompt", "Ya me funciona la primera parte. Sigo con {step}."),
    ],
    "atascado": [
        ("student_prompt", "Hace rato que no avanzo con {concept}. ¿Me das una pista?"),
        ("student_prompt", "No me sale, pasame el código así lo miro."),
    ],
}

TUTOR: dict[str, list[str]] = {
    "exploracion": ["¿Qué te pide devolver la función, y en qué orden? Contalo con tus palabras."],
    "planificacion": ["Buen plan. ¿Qué vas a comprobar después de {step}?"],
    "implementacion": ["Antes de seguir: ¿qué hace esa línea cuando no hay elementos?"],
    "depuracion": ["Agregá una impresión antes y después. ¿Qué valor cambia cuando no debería?"],
    "validacion": ["Pensá en el caso más chico y en el más grande que se te ocurra."],
    "reflexion": ["¿Cómo se lo explicarías a alguien que recién empieza?"],
    "confusion": ["Volvamos un paso: {concept}. ¿Cuál es el ejemplo más simple que conocés?"],
    "progresando": ["Vas bien. ¿Qué parte te parece más frágil?"],
    "atascado": ["Una pista, no la solución: cuidado con {trap}. Probá {step}."],
}

POLICIES: Document = {
    "max_help_level": "medio",
    "block_complete_solutions": True,
    "require_justification": True,
    "allow_code_snippets": False,
    "risk_thresholds": {"ai_dependency": 0.7, "lack_justification": 0.4},
}

# The levels of a rubric, with the share of the criterion's points that each gives.
LEVELS = (
    (LevelName.EXCELENTE, "Funciona y se entiende sin explicación.", 9, 10, 1.0),
    (LevelName.BUENO, "Funciona salvo en un caso de borde.", 7, 9, 0.75),
    (LevelName.REGULAR, "Funciona en los casos fáciles.", 5, 7, 0.5),
    (LevelName.INSUFICIENTE, "No funciona todavía.", 0, 5, 0.0),
)
CRITERIA = (("Funcionalidad", 0.4), ("Calidad de código", 0.3), ("Robustez", 0.3))
