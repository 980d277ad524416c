"""What several modules of handlers are given."""

from litestar.di import NamedDependency

from cortez.content.repository import ApuntesRepository, SubjectRepository, SubjectTeacherRepository, UnidadRepository
from cortez.core.web.dependencies import provided

provide_subjects = provided(SubjectRepository)
provide_staff = provided(SubjectTeacherRepository)
provide_unidades = provided(UnidadRepository)
Subjects = NamedDependency[SubjectRepository]
Staff = NamedDependency[SubjectTeacherRepository]
Unidades = NamedDependency[UnidadRepository]

provide_notes = provided(ApuntesRepository)
Notes = NamedDependency[ApuntesRepository]
